// Does what the JSON on stdin asks for and prints the outcome as JSON:
// {"generate": alg} makes a key, {"verify": [jwt, ..], "jwks": {..}, "typ": ".."} verifies JWTs.
import { exportJWK, exportPKCS8, exportSPKI, generateKeyPair, importJWK, jwtVerify } from 'jose';
import { randomBytes } from 'node:crypto';
import { text } from 'node:stream/consumers';

const task = JSON.parse(await text(process.stdin));
console.log(JSON.stringify(await (task.generate ? generate(task.generate) : verify(task.verify, task.jwks.keys, task.typ))));

async function generate(alg) {
  if (alg === 'HS256') {
    const jwk = { kty: 'oct', k: randomBytes(32).toString('base64url') };
    return { pem: '', public_pem: '', jwk, public_jwk: jwk };
  }
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return {
    pem: await exportPKCS8(privateKey),
    public_pem: await exportSPKI(publicKey),
    jwk: await exportJWK(privateKey),
    public_jwk: await exportJWK(publicKey),
  };
}

async function verify(jwts, keys, typ) {
  const key = async ({ alg, kid }) => {
    const jwk = keys.find((jwk) => jwk.kid === kid);
    if (!jwk) throw new Error(`no key ${kid} among ${keys.map((jwk) => jwk.kid)}`);
    if (jwk.alg && jwk.alg !== alg) throw new Error(`key ${kid} is for ${jwk.alg}, not ${alg}`);
    return importJWK(jwk, alg);
  };
  const verified = [];
  for (const jwt of jwts) {
    try {
      const { payload, protectedHeader } = await jwtVerify(jwt, key, { typ, requiredClaims: ['iss', 'iat', 'exp', 'jti'] });
      verified.push({ header: protectedHeader, claims: payload });
    } catch (error) {
      return { refused: jwt, because: String(error) };
    }
  }
  return verified;
}
