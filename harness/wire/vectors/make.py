"""Golden vectors by CPython itself: canonical.json and items.json beside this file. Deterministic; standard library only.

canonical.json: input JSON text and what json.dumps(json.loads(text), sort_keys=True) gives (profile section 3.1); some with
a signature over those bytes. items.json: a CA, authors, whole worked items, state roots and checkpoints (sections 6 and 8).
Run: python3 harness/wire/vectors/make.py
"""

import base64
import hashlib
import json
import pathlib
import sys

sys.dont_write_bytecode = True

from der_certificate import authority, leaf
from ed25519_rfc8032 import public_key, sign

HERE = pathlib.Path(__file__).parent
HASH = lambda data: hashlib.sha256(data).hexdigest()
SEED = lambda name: hashlib.sha256(name.encode()).digest()
B64 = lambda data: base64.b64encode(data).decode()


def canonical(value):
    text = json.dumps(value, sort_keys=True)
    assert text.isascii()
    return text


NUMBERS = """0 -0 1 -1 10 0.0 -0.0 1.0 -1.0 1.50 1e0 1E5 1e5 1e+5 1e15 1e16 1e17 123456789012345680.0 1e21 1e22 1.7976931348623157e308
1e-1 1e-3 1e-4 1e-5 0.0001 0.00001 0.00012345 1e-7 1.5e-7 5e-324 4.9e-324 2.2250738585072014e-308 1e-400 -1e-400 0e999 0.1 0.2 0.30000000000000004
1700000000.0 1700000000.25 1700000000.123456789 1700000000 1700000000.000 9007199254740991 9007199254740992 9007199254740993
-9007199254740993 9007199254740993.0 18446744073709551616 1000000000000000000000000000000 1e30 3.141592653589793238462643383279
100000000000000000000000.0 9999999999999998.0 9999999999999999.0 0.000123456789012345678 12345678901234567890.5 2.5e-5 4.35 1e23 9.5367431640625e-07
-1113178120592002.2 1113178120592002.25 1113178120592002.75 1250000000000000.2""".split()

STRINGS = [
    '"caf\\u00e9"', '"café"', '"\\u2028\\u2029"', '"\u2028\u2029"', '"\\u007f"', '"\u007f"', '"\\u0000\\u001f\\u0020\\u007e\\u0080"',
    '"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"/"', '"\\ud83d\\ude00"', '"\U0001f600"', '"\\uD83D\\uDE00 \\u00Ff"', '"\uffff\ufffe\ufeff"', '""', '"日本語"', '"\\u005c\\u0022"', '"\U0010ffff"', '"</script>"', '"\\u0041"', '"\'`"',
]

OBJECTS = [
    '{"10": 1, "9": 2, "": 3, "1": 4}',
    '{"b": 1, "a": 2, "B": 3, "A": 4, "_": 5, "aa": 6}',
    '{"\\ud83d\\ude00": 1, "\\uffff": 2, "\\ue000": 3, "z": 4}',
    '{"\U0001f600": "astral", "\uffee": "BMP"}',
    '{"\U0001f601": 1, "\U0001f600": 2, "\ufb01": 3, "\ud7ff": 4}',
    '{"__proto__": {"polluted": true}, "constructor": 1, "toString": null, "hasOwnProperty": []}',
    '{"é": 1, "e\\u0301": 2, "e": 3, "f": 4}',
    '{"\\u007f": 1, "~": 2, "\\u0080": 3}',
    '{"a\\u0000b": 1, "a": 2, "a\\u0001": 3}',
    '{"a": {"z": {"b": [], "a": {}}, "y": [{"d": 1, "c": [2.0, {"f": 3, "e": 4}]}]}}',
    '{}', '[]', '[[], {}, [[]], [{}]]',
    '[1,2.0,"3",null,true,false]',
    ' \t\r\n{ "a" :\n[ 1 ,2 ]\t} \r\n',
    '{"a":1,"b":[1,2],"c":{"d":null}}',
    '{"":{"":{"":""}}}',
    '{"0": 0, "-0": 1, "00": 2, "01": 3, "2": 4, "1e3": 5}',
    '[' * 31 + '{}' + ']' * 31,
    '{"a":' * 31 + '{}' + '}' * 31,
    '[0.1, 1.0, 10.0, 100.0, -0.0, -0, 1e16, 1e-7]',
    '{"x": true, "y": false, "z": null}',
    'true', 'false', 'null', '"scalar"',
    '{"long": ' + '9' * 400 + '}',
    '[' + '1' + '0' * 4299 + ']',
]


def canonical_vectors():
    texts = [f"[{token}]" for token in NUMBERS] + [f"[{token}]" for token in STRINGS] + OBJECTS
    seed = SEED("canonical vectors")
    vectors = []
    for index, text in enumerate(texts):
        form = canonical(json.loads(text))
        vector = {"text": text, "canonical": form}
        if index % 8 == 0:
            vector["signature"] = B64(sign(seed, form.encode()))
        vectors.append(vector)
    refused = [
        '{"a": 1, "a": 1}', '{"a": 1, "\\u0061": 2}', '[NaN]', '[Infinity]', '[-Infinity]', '[1e309]', '[-1e400]', '["\\ud800"]', '["\\udc00"]', '["\\ude00\\ud83d"]',
        '{"\\ud83d": 1}', '\ufeff[]', '[1' + '0' * 4300 + ']', '[01]', '[1.]', '[.5]', '[+1]', '[1e]', '[-]', '["\t"]', '["\\x41"]', '["\\u12g4"]', "['a']", '[1,]', '{"a":1,}', '{a:1}',
        '[', '', ' ', '[] []', 'nul', '[undefined]', '[1 2]', '{"a" 1}', '[0x10]', '["a]', '["\\', '[' * 33 + ']' * 33, '{"a":' * 32 + '{}' + '}' * 32, '[1_000]', '[\u00a01]', '[\f1]', '/**/[]', '[-01]', '[٣]',
    ]
    return {
        "seed": seed.hex(), "public_key": B64(public_key(seed)), "vectors": vectors, "refused": refused,
    }


AUTHORITY_SEED, AUTHORITY_NAME = SEED("vector authority"), "CLE-Net vector CA"
NOT_BEFORE, NOT_AFTER = 1_690_000_000, 2_000_000_000


def author(name):
    seed = SEED(f"vector author {name}")
    key = public_key(seed)
    agent_id = f"agent_{name}"
    certificate = leaf(SEED(name)[:15], AUTHORITY_SEED, AUTHORITY_NAME, key, agent_id, NOT_BEFORE, NOT_AFTER)
    assert certificate[:2] == b"\x30\x82" and len(certificate) == 4 + int.from_bytes(certificate[2:4], "big")
    return {
        "seed": seed.hex(), "public_key": B64(key), "node_id": f"node_{HASH(key)[:40]}", "agent_id": agent_id, "certificate": B64(certificate),
    }


def uuid(name):
    digits = HASH(name.encode())[:32]
    digits = digits[:12] + "4" + digits[13:16] + "a" + digits[17:]
    return "-".join([digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]])


def worked_item(name, by, message_type, payload_text, timestamp_text="1700000000.25", extra=""):
    """`payload_text`, `timestamp_text` and `extra` are JSON text, so that number forms and escapes are as written here."""
    sender = {member: by[member] for member in ("agent_id", "node_id", "public_key", "certificate")}
    unsigned = (
        f'{{"version": "1.0",\n "payload": {payload_text}, {extra} "timestamp": {timestamp_text}, "message_type": "{message_type}",\n'
        f' "sender": {json.dumps(sender)}, "message_id": "{uuid(name)}"'
    )
    signing = canonical(json.loads(unsigned + "}"))
    signature = B64(sign(bytes.fromhex(by["seed"]), signing.encode()))
    text = unsigned + f', "signature": "{signature}"}}'
    return {
        "name": name, "text": text, "signing": signing, "canonical": canonical(json.loads(text)), "signature": signature, "item_hash": f"rule_{HASH(signing.encode())}",
    }


def commit(rule, confidence, metadata="{}", logic='"if a then b"', context='"traffic/day"', count="3"):
    return (
        f'{{"rule_hash": "{rule}", "logic_signature": {logic}, "context_signature": {context}, "confidence": {confidence}, '
        f'"evidence_count": {count}, "metadata": {metadata}}}'
    )


def subtree_hash(hashes, prefix=""):
    below = sorted(h for h in hashes if h.startswith(prefix))
    if not below:
        return "0" * 64
    if len(below) <= 32:
        return HASH(("L" + "".join(below)).encode())
    return HASH(("N" + "".join(subtree_hash(below, prefix + digit) for digit in "0123456789abcdef")).encode())


def checkpoint(items, height, previous, timestamp, signers):
    bare = sorted(item["item_hash"][5:] for item in items)
    by_hash = {item["item_hash"][5:]: json.loads(item["canonical"]) for item in items}
    commits = [by_hash[h] for h in bare if by_hash[h]["message_type"] == "commit"]
    agents = {}
    total = 0.0
    for envelope in commits:
        agents.setdefault(envelope["payload"]["rule_hash"], set()).add(envelope["sender"]["agent_id"])
        total += envelope["payload"]["confidence"]
    body = {
        "height": height, "previous_hash": previous, "timestamp": timestamp, "state_root": subtree_hash(bare),
        "accepted_rules": sorted(rule for rule, by in agents.items() if len(by) >= 3),
        "statistics": {
            "total_commits": len(commits),
            "total_agents": len(set().union(*agents.values())) if agents else 0,
            "avg_confidence": total / len(commits) if commits else 0.0,
        },
    }
    digest = HASH(canonical(body).encode())
    seeds = [bytes.fromhex(signer["seed"]) for signer in signers]
    entries = sorted(public_key(seed) + sign(seed, digest.encode()) for seed in seeds)
    return {**body, "hash": digest, "signature": B64(b"".join(entries))}


def item_vectors():
    authors = [author(name) for name in ("ada", "bob", "eve-2_X")]
    ada, bob, eve = authors
    rule = "rule_" + HASH(b"rule")[:16]
    other = "rule_" + HASH(b"other")
    items = [
        worked_item("plain commit", ada, "commit", commit(rule, "0.75")),
        worked_item("integer confidence and timestamp", bob, "commit", commit(rule, "1"), "1700000001"),
        worked_item("confidence 1.0, integral float timestamp", eve, "commit", commit(rule, "1.0"), "1700000002.0"),
        worked_item("exponent confidence", ada, "commit", commit(other, "5E-1", '{"n": [1e16, 1e-7, -0.0, -0, 5e-324, 9007199254740993, 1e-400]}'), "1.7e9"),
        worked_item("strings", bob, "commit", commit(other, "0", '{"\\ud83d\\ude00": "\\u2028", "\uffff": "\u007f/\\/", "10": 1, "9": 2, "": 3, "__proto__": {}}', '"caf\\u00e9 \\"x\\""', '"日本"')),
        worked_item("unknown members", eve, "commit", commit(other, "0.1", '{"a": {"b": []}}'), extra='"x_extra": {"deep": [1.0, 2]},'),
        worked_item("limits", ada, "commit", commit("rule_" + "f" * 64, "1.0", "{}", '""', '""', "9007199254740991"), "1690000000"),
        worked_item("large integer beside", bob, "commit", commit(other, "0.3333333333333333", '{"big": 1000000000000000000000000000000}')),
        worked_item("challenge", ada, "challenge", f'{{"target_rule_hash": "{rule}", "contradicting_rule": {{"logic_form": "not a", "context": "night"}}, "reason": "seen", "evidence": ["x", "\\u00e9"]}}'),
        worked_item("confirm", eve, "confirm", f'{{"rule_hash": "{rule}", "confidence_delta": -1, "additional_evidence": 0}}'),
        worked_item("confirm with float delta", bob, "confirm", f'{{"rule_hash": "{rule}", "confidence_delta": -0.0, "additional_evidence": 12}}'),
    ]
    roots = []
    for count in (0, 1, 2, 16, 31, 32, 33, 100, 500, 501, 1000, 2000):
        hashes = [HASH(f"item {i}".encode()) for i in range(count)]
        some = sorted({h[:2] for h in hashes[:3]}) + ["", "0", "ff"]
        subtrees = {p: {"count": sum(h.startswith(p) for h in hashes), "hash": subtree_hash([h for h in hashes if h.startswith(p)], p)} for p in some}
        roots.append({"count": count, "root": subtree_hash(hashes), "subtrees": subtrees})
    same_prefix = ["abcdef" + HASH(str(i).encode())[6:] for i in range(40)]
    first = checkpoint(items[:3], 1, "0" * 64, 1700000060.5, [ada])
    second = checkpoint(items, 2, first["hash"], 1700000120.0, [bob, ada, eve])
    empty = checkpoint([], 3, second["hash"], 1700000180, [eve])
    return {
        "authority": {"seed": AUTHORITY_SEED.hex(), "certificate": B64(authority(AUTHORITY_SEED, AUTHORITY_NAME, NOT_BEFORE, NOT_AFTER)), "not_before": NOT_BEFORE, "not_after": NOT_AFTER},
        "authors": authors, "items": items,
        "state_roots": {"hash_of": "sha256('item ' + decimal index), index 0 … count - 1", "sets": roots, "deep": {"hashes": same_prefix, "root": subtree_hash(same_prefix)}},
        "checkpoints": [
            {"items": [item["item_hash"] for item in held], "checkpoint": canonical(point), "hash": point["hash"]}
            for held, point in ((items[:3], first), (items, second), ([], empty))
        ],
    }


def main():
    """With --check: compares instead of writing; exit code 1 names the file that differs."""
    for name, value in (("canonical.json", canonical_vectors()), ("items.json", item_vectors())):
        text = json.dumps(value, indent=1) + "\n"
        if "--check" not in sys.argv:
            (HERE / name).write_text(text)
        elif (HERE / name).read_text() != text:
            sys.exit(f"{name} is not what make.py writes")


if __name__ == "__main__":
    main()
