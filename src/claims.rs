//! What an authorization server says of a token, in a flat binary form: made once from the reply's JSON
//! members, kept in the cache as it is, and read on every request without parsing JSON.
//!
//! The members keep the names they have on the wire (RFC 7662 §2.2, RFC 7519 §4.1).

use serde_json::{Map, Value};

use crate::bytes::Reader;
use crate::date::rfc_3339;
use crate::json;
use crate::sender_constrained::Confirmation;
use crate::token::UnixMillis;
use crate::token_kind;

pub use crate::json::BadMember;

/// Claims in their flat form, owned. [`ClaimsBuf::view`] reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimsBuf(Vec<u8>);

impl ClaimsBuf {
    /// Makes claims from the members of an introspection reply or of a JWT's claims set. `null` members
    /// count as absent; `scope` and `aud` may be a string or an array of strings; times may be whole,
    /// fractional, or decimal strings, and are clamped to what a clock can show.
    ///
    /// # Errors
    ///
    /// The first member whose value has a type that the RFCs do not give it.
    pub fn from_members(mut members: Map<String, Value>) -> Result<Self, BadMember> {
        members.retain(|_, value| !value.is_null());
        for name in IDENTIFIERS {
            // Some servers have numbers for names.
            if let Some(value) = members.get_mut(name).filter(|value| value.is_i64() || value.is_u64()) {
                *value = Value::String(value.to_string());
            }
        }
        let scope = scope(&members)?;
        let aud = audiences(&members)?;
        let mut flat = Vec::with_capacity(512);
        for time in ["exp", "nbf"] {
            let millis = numeric_date(&members, time)?.map_or(ABSENT_TIME, UnixMillis::as_millis);
            flat.extend_from_slice(&millis.to_le_bytes());
        }
        put(&mut flat, Some(scope.as_bytes()));
        flat.extend_from_slice(&length(aud.len()));
        aud.iter().for_each(|audience| put(&mut flat, Some(audience.as_bytes())));
        for name in STRING_MEMBERS {
            let value = match name {
                "token_type" => token_kind::named(&members)?,
                _ => members.get(name).map(|value| value.as_str().ok_or(BadMember(name))).transpose()?,
            };
            put(&mut flat, value.map(str::as_bytes));
        }
        Confirmation::write(Confirmation::of(&members), &mut flat);
        flat.extend_from_slice(Value::Object(members).to_string().as_bytes());
        Ok(Self(flat))
    }

    /// Claims that are in their flat form already.
    pub(crate) fn from_flat(flat: &[u8]) -> Self {
        Self(flat.to_vec())
    }

    /// The claims, for reading.
    pub fn view(&self) -> Claims<'_> {
        // What `from_members` wrote can be read; an empty view satisfies no requirement.
        Claims::parse(&self.0).unwrap_or_default()
    }

    /// The flat form.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Claims, read in place. Strings are bytes of valid UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claims<'a> {
    /// When the token ends. `None`: the server did not say.
    pub exp: Option<UnixMillis>,
    /// Before when the token is not to be used.
    pub nbf: Option<UnixMillis>,
    /// Scopes (RFC 6749 §3.3), separated by single spaces; empty where there are none.
    scope: &'a [u8],
    /// Audiences as a counted list.
    aud: Strings<'a>,
    /// The client that the token was issued to.
    pub client_id: Option<&'a [u8]>,
    /// Who issued the token.
    pub iss: Option<&'a [u8]>,
    /// Whom the token speaks for; a client by itself may have none.
    pub sub: Option<&'a [u8]>,
    /// The OpenID Connect session the token belongs to.
    pub sid: Option<&'a [u8]>,
    /// `Bearer`, `DPoP` and, from some servers, `refresh_token`; `token_use` where that says more.
    pub token_type: Option<&'a [u8]>,
    /// What the token is bound to, if it is.
    pub confirmation: Option<Confirmation>,
    /// Every member as a JSON object, the ones above among them.
    json: &'a [u8],
}

impl<'a> Claims<'a> {
    /// Reads the flat form. `None` if it is not one.
    pub fn parse(flat: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(flat);
        let mut time =
            || reader.u64().map(|millis| (millis != ABSENT_TIME).then_some(UnixMillis::from_millis(millis)));
        let (exp, nbf) = (time()?, time()?);
        let scope = take(&mut reader)??;
        let count = reader.u32()?;
        let start = reader.rest();
        for _ in 0..count {
            take(&mut reader)??;
        }
        let aud = Strings(start.get(..start.len().checked_sub(reader.rest().len())?)?);
        let mut string = || take(&mut reader);
        let (client_id, iss, sub, sid, token_type) = (string()?, string()?, string()?, string()?, string()?);
        let confirmation = Confirmation::take(&mut reader)?;
        let json = reader.rest();
        Some(Self { exp, nbf, scope, aud, client_id, iss, sub, sid, token_type, confirmation, json })
    }

    /// The scopes, one by one.
    pub fn scopes(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.scope.split(|&byte| byte == b' ').filter(|scope| !scope.is_empty())
    }

    /// The audiences, one by one.
    pub fn audiences(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.aud.iter()
    }

    /// Those that a verdict can be withdrawn by, to keep.
    pub fn to_withdraw_by(&self) -> ClaimsBuf {
        let mut flat = Vec::with_capacity(128 + self.json.len());
        [ABSENT_TIME; 2].iter().for_each(|time| flat.extend_from_slice(&time.to_le_bytes()));
        put(&mut flat, Some(self.scope));
        flat.extend_from_slice(&length(0));
        for value in [self.client_id, None, self.sub, self.sid, None] {
            put(&mut flat, value);
        }
        Confirmation::write(None, &mut flat);
        flat.extend_from_slice(self.json);
        ClaimsBuf(flat)
    }

    /// All members, parsed. Not for the hot path.
    pub fn members(&self) -> Map<String, Value> {
        json::object(self.json).unwrap_or_default()
    }
}

/// Which members are read as which: servers differ. Of each list the first that is there counts, and no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimNames {
    /// Of `scope`, a text or an array of texts.
    pub scope: Vec<String>,
    /// Of `client_id`.
    pub client_id: Vec<String>,
    /// Of `sid`, the session.
    pub sid: Vec<String>,
}

impl Default for ClaimNames {
    /// `scope` has a second name that several servers use, in JWTs above all.
    fn default() -> Self {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self { scope: names(&["scope", "scp"]), client_id: names(&["client_id"]), sid: names(&["sid"]) }
    }
}

impl ClaimNames {
    /// Puts what stands under other names under the registered ones.
    pub fn apply(&self, members: &mut Map<String, Value>) {
        for (name, names) in [("scope", &self.scope), ("client_id", &self.client_id), ("sid", &self.sid)] {
            let found = names.iter().find_map(|other| {
                claim(members, other).filter(|value| !value.is_null()).map(|value| (other, value))
            });
            match found {
                Some((other, _)) if other == name => {}
                Some((_, value)) => {
                    let value = value.clone();
                    members.insert(name.to_owned(), value);
                }
                None => {
                    members.remove(name);
                }
            }
        }
    }

    /// The names, for a fingerprint.
    pub fn lists(&self) -> [&[String]; 3] {
        [&self.scope, &self.client_id, &self.sid]
    }
}

/// A claim by its name; one that begins with a slash is a JSON Pointer (RFC 6901) into the claims.
pub(crate) fn claim<'m>(members: &'m Map<String, Value>, name: &str) -> Option<&'m Value> {
    let Some(pointer) = name.strip_prefix('/') else { return members.get(name) };
    let (first, rest) = pointer.find('/').map_or((pointer, ""), |slash| pointer.split_at(slash));
    members.get(&first.replace("~1", "/").replace("~0", "~"))?.pointer(rest)
}

/// A list of strings in the flat form, known to be well formed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Strings<'a>(&'a [u8]);

impl<'a> Strings<'a> {
    fn iter(self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut reader = Reader::new(self.0);
        std::iter::from_fn(move || take(&mut reader).flatten())
    }
}

fn put(flat: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(bytes) => {
            flat.extend_from_slice(&length(bytes.len()));
            flat.extend_from_slice(bytes);
        }
        None => flat.extend_from_slice(&ABSENT.to_le_bytes()),
    }
}

fn length(len: usize) -> [u8; 4] {
    // Replies are bounded at 1 MiB, far below.
    u32::try_from(len).unwrap_or(ABSENT).to_le_bytes()
}

/// Outer `None`: malformed. Inner `None`: absent.
fn take<'a>(reader: &mut Reader<'a>) -> Option<Option<&'a [u8]>> {
    match reader.u32()? {
        ABSENT => Some(None),
        len => reader.take(usize::try_from(len).ok()?).map(Some),
    }
}

/// `scope` as one string with single spaces (RFC 7662 §2.2 has a string; some servers send an array).
pub(crate) fn scope(members: &Map<String, Value>) -> Result<String, BadMember> {
    let words: Vec<&str> =
        strings(members, "scope")?.into_iter().flat_map(str::split_ascii_whitespace).collect();
    Ok(words.join(" "))
}

/// `aud` as a list (RFC 7519 §4.1.3).
pub(crate) fn audiences(members: &Map<String, Value>) -> Result<Vec<&str>, BadMember> {
    strings(members, "aud")
}

fn strings<'m>(members: &'m Map<String, Value>, name: &'static str) -> Result<Vec<&'m str>, BadMember> {
    match members.get(name) {
        None => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one]),
        Some(Value::Array(many)) => many.iter().map(|one| one.as_str().ok_or(BadMember(name))).collect(),
        Some(_) => Err(BadMember(name)),
    }
}

/// Whether `aud`, a text or an array of texts (RFC 7519 §4.1.3), has one of `ours`.
pub(crate) fn is_for(claims: &Map<String, Value>, ours: &[String]) -> bool {
    let is_ours =
        |audience: &Value| audience.as_str().is_some_and(|audience| ours.iter().any(|our| our == audience));
    match claims.get("aud") {
        Some(Value::Array(audiences)) => audiences.iter().any(is_ours),
        Some(audience) => is_ours(audience),
        None => false,
    }
}

/// A NumericDate (RFC 7519 §2), leniently: integer, float or decimal string.
pub(crate) fn numeric_date(
    members: &Map<String, Value>,
    name: &'static str,
) -> Result<Option<UnixMillis>, BadMember> {
    let seconds = match members.get(name) {
        None => return Ok(None),
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text))
            if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') =>
        {
            text.parse().ok()
        }
        Some(_) => None,
    };
    seconds.map(point_in_time).map(Some).ok_or(BadMember(name))
}

/// A time however it is written: as a NumericDate, or as Spring writes `auth_time`, as a text (RFC 3339).
pub(crate) fn time(members: &Map<String, Value>, name: &'static str) -> Option<UnixMillis> {
    let written = || members.get(name).and_then(Value::as_str).and_then(rfc_3339);
    numeric_date(members, name).ok().flatten().or_else(written)
}

/// The point that a NumericDate of that many seconds means, clamped to what a clock can show.
pub(crate) fn point_in_time(seconds: f64) -> UnixMillis {
    // A negative time has long been; one beyond the year 9999 is as good as never.
    let millis = seconds.clamp(0.0, LAST_SECOND) * 1000.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0 ..= 2.6e14")]
    UnixMillis::from_millis(millis as u64)
}

/// The members that are kept beside the JSON, in the order of the flat form.
const STRING_MEMBERS: [&str; 5] = ["client_id", "iss", "sub", "sid", "token_type"];

/// Of these, those that are read as text though they are a number.
const IDENTIFIERS: [&str; 3] = ["client_id", "sub", "sid"];

/// A length that stands for "no such member".
const ABSENT: u32 = u32::MAX;

/// A time that stands for "no such member".
const ABSENT_TIME: u64 = u64::MAX;

/// 9999-12-31T23:59:59Z.
const LAST_SECOND: f64 = 253_402_300_799.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(json: &str) -> Result<ClaimsBuf, BadMember> {
        ClaimsBuf::from_members(json::object(json.as_bytes()).unwrap())
    }

    fn texts<'a>(items: impl Iterator<Item = &'a [u8]>) -> Vec<&'a str> {
        items.map(|item| std::str::from_utf8(item).unwrap()).collect()
    }

    #[test]
    fn every_member_is_read_back() {
        let buf = claims(
            r#"{"scope":"read write","aud":["a","b"],"client_id":"c","iss":"i","sub":"s","sid":"d",
                "token_type":"Bearer","exp":1795378238,"nbf":1795377638,"roles":["x"]}"#,
        )
        .unwrap();
        let view = buf.view();
        assert_eq!(texts(view.scopes()), ["read", "write"]);
        assert_eq!(texts(view.audiences()), ["a", "b"]);
        assert_eq!((view.client_id, view.iss), (Some(&b"c"[..]), Some(&b"i"[..])));
        assert_eq!(
            (view.sub, view.sid, view.token_type),
            (Some(&b"s"[..]), Some(&b"d"[..]), Some(&b"Bearer"[..]))
        );
        assert_eq!(view.exp, Some(UnixMillis::from_secs(1_795_378_238)));
        assert_eq!(view.nbf, Some(UnixMillis::from_secs(1_795_377_638)));
        assert_eq!(view.members()["roles"], serde_json::json!(["x"]));
    }

    #[test]
    fn absent_null_and_empty_members_differ_where_it_matters() {
        let buf = claims(r#"{"scope":"","aud":null,"sub":"","exp":null}"#).unwrap();
        let view = buf.view();
        assert_eq!((view.scopes().count(), view.audiences().count()), (0, 0));
        assert_eq!((view.sub, view.client_id, view.exp), (Some(&b""[..]), None, None));
        assert!(!view.members().contains_key("aud"));
    }

    #[test]
    fn scope_and_aud_are_read_as_string_or_array() {
        let buf = claims(r#"{"scope":[" read","write "],"aud":"read write"}"#).unwrap();
        assert_eq!(texts(buf.view().scopes()), ["read", "write"]);
        assert_eq!(texts(buf.view().audiences()), ["read write"]);
    }

    #[test]
    fn times_are_lenient_in_form_and_clamped_in_size() {
        for (exp, millis) in [
            ("1795378238", 1_795_378_238_000),
            ("1795378238.5", 1_795_378_238_500),
            ("\"1795378238\"", 1_795_378_238_000),
            ("\"1795378238.25\"", 1_795_378_238_250),
            ("-5", 0),
            ("1e300", 253_402_300_799_000),
            ("18446744073709551615", 253_402_300_799_000),
        ] {
            let buf = claims(&format!(r#"{{"exp":{exp}}}"#)).unwrap();
            assert_eq!(buf.view().exp, Some(UnixMillis::from_millis(millis)), "{exp}");
        }
    }

    #[test]
    fn a_member_of_a_wrong_type_is_named() {
        for (json, name) in [
            (r#"{"exp":"soon"}"#, "exp"),
            (r#"{"exp":""}"#, "exp"),
            (r#"{"exp":"1e400"}"#, "exp"),
            (r#"{"exp":"."}"#, "exp"),
            (r#"{"exp":true}"#, "exp"),
            (r#"{"nbf":[1]}"#, "nbf"),
            (r#"{"scope":1}"#, "scope"),
            (r#"{"scope":["a",1]}"#, "scope"),
            (r#"{"aud":{"a":1}}"#, "aud"),
            (r#"{"sub":1.5}"#, "sub"),
            (r#"{"iss":1}"#, "iss"),
            (r#"{"token_type":["Bearer"]}"#, "token_type"),
        ] {
            assert_eq!(claims(json), Err(BadMember(name)), "{json}");
        }
    }

    #[test]
    fn a_number_in_the_place_of_a_name_is_its_decimal_text() {
        let buf = claims(r#"{"sub":42,"client_id":18446744073709551615,"sid":-1}"#).unwrap();
        let view = buf.view();
        assert_eq!(view.sub, Some(&b"42"[..]));
        assert_eq!((view.client_id, view.sid), (Some(&b"18446744073709551615"[..]), Some(&b"-1"[..])));
        assert_eq!(view.members()["sub"], "42");
    }

    #[test]
    fn of_several_names_the_first_that_is_there_counts() {
        let names = |text: &str| serde_json::from_str::<Vec<String>>(text).unwrap();
        let azp = ClaimNames { client_id: names(r#"["azp","/ext/cid"]"#), ..ClaimNames::default() };
        for (rules, json, wanted) in [
            (ClaimNames::default(), r#"{"scp":["a","b"]}"#, r#"{"scp":["a","b"],"scope":["a","b"]}"#),
            (ClaimNames::default(), r#"{"scp":"a","scope":"b"}"#, r#"{"scp":"a","scope":"b"}"#),
            (ClaimNames::default(), r#"{"scp":"a","scope":null}"#, r#"{"scp":"a","scope":"a"}"#),
            (azp.clone(), r#"{"client_id":"b","azp":"a"}"#, r#"{"client_id":"a","azp":"a"}"#),
            (azp.clone(), r#"{"client_id":"b"}"#, "{}"),
            (azp, r#"{"ext":{"cid":"c"}}"#, r#"{"ext":{"cid":"c"},"client_id":"c"}"#),
        ] {
            let mut members = json::object(json.as_bytes()).unwrap();
            rules.apply(&mut members);
            assert_eq!(members, json::object(wanted.as_bytes()).unwrap(), "{json}");
        }
    }

    #[test]
    fn a_name_with_a_slash_points_into_the_claims() {
        let members = json::object(br#"{"a":{"b":["c",{"d/e~":1}]},"":2,"x.y":3}"#).unwrap();
        for (name, wanted) in [
            ("/a/b/0", Some(serde_json::json!("c"))),
            ("/a/b/1/d~1e~0", Some(serde_json::json!(1))),
            ("/", Some(serde_json::json!(2))),
            ("x.y", Some(serde_json::json!(3))),
            ("/x/y", None),
            ("/a/b/2", None),
        ] {
            assert_eq!(claim(&members, name), wanted.as_ref(), "{name}");
        }
    }

    #[test]
    fn a_broken_flat_form_is_refused_wherever_it_is_cut() {
        let buf = claims(r#"{"scope":"a","aud":["b","c"],"sub":"d"}"#).unwrap();
        let json = buf.view().json.len();
        for cut in 0..buf.as_bytes().len() - json {
            assert_eq!(Claims::parse(&buf.as_bytes()[..cut]), None, "{cut}");
        }
    }
}
