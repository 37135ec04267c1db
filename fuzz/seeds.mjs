// Makes every target's seeds from what real servers said and from the RFCs' vectors: node fuzz/seeds.mjs DIRECTORY
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { deflateSync } from "node:zlib";

const tests = join(dirname(fileURLToPath(import.meta.url)), "..", "tests");
const into = process.argv[2];
const texts = (folder, kind) =>
  readdirSync(join(tests, folder)).filter((name) => name.endsWith(kind)).map((name) => readFileSync(join(tests, folder, name)));
const json = (folder) => texts(folder, ".json").map((text) => JSON.parse(text));

function seeds(target, values) {
  mkdirSync(join(into, target), { recursive: true });
  values.forEach((value, index) => writeFileSync(join(into, target, `seed-${index}`), value));
}

// Every JWT that stands in a vector, and what its payload says.
const vectors = readFileSync(join(tests, "vectors", "rfc.json"), "utf8") + texts("vectors/jwt", ".json").join("\n");
const jwts = [...new Set(vectors.match(/eyJ[\w-]+\.[\w-]*\.[\w-]*/g))].slice(0, 60);
const payloads = jwts.map((jwt) => Buffer.from(jwt.split(".")[1], "base64url")).filter((text) => text[0] === 0x7b);
const bodies = json("vectors/recordings").map((it) => it.response.body ?? "").map((body) =>
  typeof body === "string" ? body : JSON.stringify(body));
const lists = JSON.parse(readFileSync(join(tests, "vectors", "token-status-list.json"))).vectors;
const keySets = readdirSync(join(tests, "vectors", "jwt")).filter((name) => name.endsWith("jwks.json")).map((name) =>
  JSON.parse(readFileSync(join(tests, "vectors", "jwt", name)))).map((it) => it.response.body).map((body) =>
  typeof body === "string" ? body : JSON.stringify(body));
const keys = [...texts("keys", ".pem"), ...texts("keys", ".jwk.json")];
const form = (members) => new URLSearchParams(members).toString();
const configurations = JSON.parse(readFileSync(join(tests, "vectors", "configurations.json")));

// The same as google.protobuf.Struct, which is how Envoy hands over YAML.
const varint = (n) => (n < 128 ? [n] : [(n & 127) | 128, ...varint(n >>> 7)]);
const field = (number, bytes) => [(number << 3) | 2, ...varint(bytes.length), ...bytes];
const double = (n) => [...Buffer.from(new Float64Array([n]).buffer)];
const text = (it) => [...Buffer.from(it)];
const struct = (object) =>
  Object.entries(object).flatMap(([key, value]) => field(1, [...field(1, text(key)), ...field(2, protobuf(value))]));
const protobuf = (value) =>
  value === null ? [0x08, 0]
  : typeof value === "number" ? [0x11, ...double(value)]
  : typeof value === "string" ? field(3, text(value))
  : typeof value === "boolean" ? [0x20, value ? 1 : 0]
  : Array.isArray(value) ? field(6, value.flatMap((one) => field(1, protobuf(one))))
  : field(5, struct(value));

const event = "http://schemas.openid.net/event/backchannel-logout";
const revoked = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";
const subject = { format: "aliases", identifiers: [{ format: "iss_sub", iss: "https://as.example", sub: "a" }, { format: "opaque", id: "o" }] };
const statement = { jti: "j", iat: 1795377640, exp: 1795377700, sub: "alice", sid: "s" };

seeds("token", ["mF_9.B5f-4.1JqM", "a==", ...jwts.slice(0, 5)]);
seeds("jwt", jwts);
seeds("claims", [...payloads, ...bodies.filter((body) => body.startsWith("{"))]);
seeds("introspection_reply", [0, 1, 2, 3].flatMap((kind) => [...bodies, ...jwts.slice(0, 10)].map((body) =>
  Buffer.concat([Buffer.of(kind), Buffer.from(body)]))));
seeds("key_set", [...keySets, ...texts("keys", ".jwk.json").map((jwk) => `{"keys":[${jwk}]}`)]);
const metadata = json("vectors/discovery").map((it) => JSON.parse(it.response.body));
seeds("metadata", metadata.map((it) => JSON.stringify(it).replaceAll(it.issuer, "http://127.0.0.1:23100")));
seeds("private_key", keys);
seeds("admin_order", ['{"token":"a"}', '{"all":true}', '{"all":true,"provider":"one"}', '{"sub":"s","provider":"two"}', '{"sid":"s"}', '{"client_id":"c"}']);
seeds("request_form", [
  `\n${form({ token: "abc", client_id: "c", token_type_hint: "access_token" })}`,
  `Basic ${Buffer.from("c%20d:s").toString("base64")}\n${form({ token: "abc" })}`,
  ...jwts.slice(0, 5).map((jwt) => `\n${form({ token: "t", client_assertion: jwt })}`),
  ...jwts.slice(0, 5).map((jwt) => `\n${form({ logout_token: jwt })}`),
]);
seeds("credentials", ["Bearer abc\n\n", "DPoP abc==\n", "\nabc\n", "\n\na=b; at=abc; c=d\nat=", "Basic YTpi, Bearer abc\n\nat=x", "bearer\tabc,\n"]);
const publicKeys = readdirSync(join(tests, "keys")).filter((name) => name.endsWith(".jwk.json")).map((name) => {
  const { kty, crv, x, y, n, e } = JSON.parse(readFileSync(join(tests, "keys", name)));
  return JSON.stringify({ kty, crv, x, y, n, e });
});
const proof = { jti: "j", htm: "GET", htu: "https://api.example/v1/a/b" };
seeds("dpop_proof", publicKeys.flatMap((jwk) => [
  ["/a/b", proof], ["/a/b?c", { ...proof, htu: "HTTPS://API.example:443/v1/x/../a/b?d#e" }], ["/%61/b", proof],
  ["/", { ...proof, htu: "https://api.example/v1/" }], ["/a/b", { ...proof, iat: 1795377600, nonce: "n", exp: 1795377700 }],
].map(([path, claims]) => `${jwk}\n${path}\n${JSON.stringify(claims)}`)));
seeds("xfcc", [
  "Hash=00", 'By=spiffe://a/b;Hash=aa;Subject="CN=\\"x\\";Hash=zz,O=y";URI=,By=;Hash=bb;Cert="-----"', "Hash=aa, Hash=bb", 'hash="aa"',
  "By=a;Hash=aa;URI=spiffe://a;Hash=bb", 'Hash=aa;Subject="CN=x',
]);
seeds("configuration", configurations.flatMap((it) => [JSON.stringify(it), Buffer.from(struct(it))]));
seeds("challenge", ["api\nread\nwrite", "", "the \"api\"", "a\\b\nread", "api\nread write", `r\n${"scope".repeat(1000)}`]);
const access = { iss: "https://as.example", aud: "https://api.example", exp: 1795378000, iat: 1795377640, sub: "alice", scope: "read" };
seeds("jwt_rules", [
  ...["at+jwt", "application/at+jwt", "JWT", ""].flatMap((typ) =>
    [access, { ...access, nonce: "n" }, { ...access, typ: "ID" }, { ...access, scope: undefined, scp: ["read"] }, { ...access, aud: ["x", access.aud] }]
      .map((claims) => `${typ}\n${JSON.stringify(claims)}`)),
  ...payloads.slice(0, 20).map((payload) => `at+jwt\n${payload}`),
]);
const told = (kind, isOurs, later) => Buffer.concat([Buffer.of(isOurs ? 0 : 1, later), Buffer.from(kind), Buffer.alloc(32, "d")]);
seeds("worker_message", [
  ..."VNFET".split("").map((kind) => told(kind, true, 0)),
  Buffer.concat([told("N", true, 0), told("V", true, 1)]),
  Buffer.concat([told("V", true, 1), told("V", false, 255), told("F", true, 255)]),
  Buffer.concat(Array.from({ length: 20 }, () => told("X", false, 255))),
]);
seeds("rules", ["/a\na.example\n/a?b\nA.example:8080", "/\n[::1]\n/x#y\n[::1]:80"]);
const header = field(1, [0x18, 100]);
const pair = field(2, [
  ...field(1, text(`/fleet/1/w/01${"ab".repeat(32)}`)), 0x18, 99, ...field(5, [1, ...Array(8).fill(7), 0x10, 0x27, 0, 0]),
]);
const refusing = field(2, [
  ...field(1, text(`/fleet/1/w/07${"ab".repeat(32)}/${"0".repeat(5)}1a205c48c80`)), 0x18, 99,
  ...field(5, [2, ...Array(8).fill(7), 0x10, 0x27, 0, 0, ...Array(8).fill(9)]),
]);
seeds("fleet_store", [
  Buffer.from([...header, ...refusing, ...pair, 0x18, 1]),
  Buffer.from([...header, ...pair, ...pair, 0x18, 1]),
  Buffer.from([...header, ...field(11, pair), ...field(11, [8, 1, ...pair])]),
  Buffer.from([...header, 0x20, 1, 0x28, 50]),
  Buffer.from([...header, ...field(2, text("abcdef.12"))]),
  Buffer.from([...header, 0x10, 0x85, 0x92, 0x01]),
]);
seeds("access_token_reply", [
  { access_token: "t", token_type: "Bearer", expires_in: 300 },
  { access_token: "t", token_type: "bearer", expires_in: "300", scope: "ssf.read" },
  { access_token: "t", token_type: "Bearer" },
].map((it) => JSON.stringify(it)));
const stream = {
  stream_id: "4a7905dc", iss: "http://127.0.0.1:43080/realms/shop", aud: ["gateway/4a7905dc"],
  events_requested: ["e"], events_supported: ["e", "f"], min_verification_interval: 0, description: "phantom-token-filter",
  delivery: { method: "urn:ietf:rfc:8936", endpoint_url: "http://127.0.0.1:43080/poll/4a7905dc" },
};
seeds("event_stream", [
  stream,
  [stream, { ...stream, description: undefined, aud: "gateway" }],
  {
    issuer: stream.iss, default_subjects: "NONE", add_subject_endpoint: "http://127.0.0.1:43080/add",
    verification_endpoint: "http://127.0.0.1:43080/verify",
  },
].map((it) => JSON.stringify(it)));
seeds("status_list", [
  ...lists.map((it) => JSON.stringify({ status_list: it.status_list, ttl: 60, exp: 2000 })).filter((it) => it.length < 4000),
  JSON.stringify({ status_list: { bits: 8, lst: deflateSync(Buffer.alloc(3 << 20)).toString("base64url") } }),
]);
seeds("signed_statement", [
  ...payloads,
  JSON.stringify({ ...statement, events: { [event]: {} } }),
  JSON.stringify({ ...statement, sub_id: subject, events: { [revoked]: { event_timestamp: 1795377640 } } }),
  JSON.stringify(subject),
  JSON.stringify({ user: subject, session: { format: "opaque", id: "o" } }),
]);
// Bytes as they are after an even byte; claims whose entry is written, with changes, after an odd one.
const foreign = (bytes) => Buffer.concat([Buffer.of(0), bytes]);
seeds("cache_values", [
  ...[1, 2, 3, 4].flatMap((version) => [1, 2, 3, 4].map((kind) =>
    foreign(Buffer.concat([Buffer.of(version, kind), Buffer.alloc(32, "d"), Buffer.alloc(64)])))),
  ...bodies.filter((body) => body.startsWith("{") && !body.includes("\n")).slice(0, 30).map((body) =>
    Buffer.concat([Buffer.of(1), Buffer.from(body), Buffer.from("\n\x32\x00\xff", "latin1")])),
]);
seeds("struct_and_host_bytes", [
  "\x0a\x09\x0a\x03key\x12\x02\x20\x01",
  JSON.stringify({ sets: Object.fromEntries(jwts.slice(0, 3).map((jwt, index) => [`j${index}`, jwt])), moreAvailable: true }),
  Buffer.from("01000000010000000200000061006262 00".replace(/ /g, ""), "hex"),
]);
