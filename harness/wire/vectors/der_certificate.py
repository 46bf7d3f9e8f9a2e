"""Just enough DER to write the certificates of profile section 1 in the byte form of section 6. No library."""

import datetime

from ed25519_rfc8032 import public_key, sign

ED25519 = bytes.fromhex("300506032b6570")


def _tlv(tag, *parts):
    body = b"".join(parts)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    size = (len(body).bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + len(body).to_bytes(size, "big") + body


def _oid(text):
    first, second, *rest = (int(part) for part in text.split("."))
    body = bytes([first * 40 + second])
    for number in rest:
        digits = [number & 127]
        while number := number >> 7:
            digits.append(128 | (number & 127))
        body += bytes(reversed(digits))
    return _tlv(6, body)


def _name(common_name):
    return _tlv(0x30, _tlv(0x31, _tlv(0x30, _oid("2.5.4.3"), _tlv(0x0C, common_name.encode()))))


def _time(seconds):
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return _tlv(0x17, moment.strftime("%y%m%d%H%M%SZ").encode())


def _extension(oid, value, critical=False):
    return _tlv(0x30, _oid(oid), b"\x01\x01\xff" if critical else b"", _tlv(4, value))


def _certificate(serial, issuer, subject, key, issuer_seed, not_before, not_after, extensions):
    tbs = _tlv(
        0x30,
        _tlv(0xA0, b"\x02\x01\x02"),
        _tlv(2, serial),
        ED25519,
        _name(issuer),
        _tlv(0x30, _time(not_before), _time(not_after)),
        _name(subject),
        _tlv(0x30, ED25519, _tlv(3, b"\0" + key)),
        _tlv(0xA3, _tlv(0x30, *extensions)),
    )
    return _tlv(0x30, tbs, ED25519, _tlv(3, b"\0" + sign(issuer_seed, tbs)))


def authority(seed, name, not_before, not_after):
    basic = _extension("2.5.29.19", _tlv(0x30, b"\x01\x01\xff"), critical=True)
    return _certificate(b"\x01", name, name, public_key(seed), seed, not_before, not_after, [basic])


def leaf(serial, authority_seed, authority_name, key, agent_id, not_before, not_after):
    usage = _tlv(0x30, _oid("1.3.6.1.5.5.7.3.1"), _oid("1.3.6.1.5.5.7.3.2"))
    names = _tlv(0x30, _tlv(0x86, b"urn:cle-net:agent:" + agent_id.encode()))
    extensions = [_extension("2.5.29.37", usage), _extension("2.5.29.17", names)]
    return _certificate(serial, authority_name, agent_id, key, authority_seed, not_before, not_after, extensions)
