/**
 * The part of sodium-native's addon that the shell calls. Its JavaScript in front of it (3 000 lines of wrappers for 300
 * functions, no types) takes ten times as long to load as the addon itself.
 */
declare module 'sodium-native/binding.js' {
  interface Binding {
    /** 0 if it succeeded. */
    crypto_sign_detached(signature: Uint8Array, message: Uint8Array, secretKey: Uint8Array): number;
    crypto_sign_verify_detached(
      signature: ArrayBufferLike,
      signatureOffset: number,
      signatureLength: number,
      message: ArrayBufferLike,
      messageOffset: number,
      messageLength: number,
      publicKey: ArrayBufferLike,
      publicKeyOffset: number,
      publicKeyLength: number,
    ): boolean;
  }
  const binding: Binding;
  export default binding;
}
