//! The configuration as a tree that is read key by key. Every part of it knows its path, so that an error says
//! where; a key that nobody would read is refused.
//!
//! All that is wrong is said at once. Whoever finds something wrong notes it there and then, which refuses the
//! configuration, and all that is returned of it is [`Refused`]: what has a default is read as that, and where there is none,
//! the rest may be read before it is asked for.
//!
//! Errors show the value that was there, but not where it may be a secret: of a text in the place of an object
//! or a list, of a secret, and of anything long, they name the type only.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value};

use super::error::ConfigError;
use super::length;

/// What reading needs besides the configuration, and what it has to say.
pub(super) struct Context<'c> {
    /// Where secrets come from.
    pub(super) env: &'c dyn Fn(&str) -> Option<String>,
    /// The whole configuration.
    members: &'c Map<String, Value>,
    /// What is allowed but hardly meant.
    warnings: RefCell<Vec<String>>,
    /// What is wrong, in the order of reading.
    errors: RefCell<Vec<ConfigError>>,
    /// The path of every [`Spot`].
    paths: RefCell<Vec<String>>,
}

/// Something is wrong, and was noted: the configuration is refused.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused(());

/// Where something stands, or could.
#[derive(Clone, Copy)]
pub(super) struct Spot<'c> {
    pub(super) context: &'c Context<'c>,
    /// The place of its path among all.
    index: usize,
}

/// An object whose keys are known; one that is left out is an empty one.
#[derive(Clone, Copy)]
pub(super) struct Section<'c> {
    pub(super) spot: Spot<'c>,
    keys: &'static [&'static str],
    members: Option<&'c Map<String, Value>>,
}

/// A value.
#[derive(Clone, Copy)]
pub(super) struct Item<'c> {
    pub(super) spot: Spot<'c>,
    pub(super) value: &'c Value,
}

impl<'c> Section<'c> {
    /// The whole configuration.
    pub(super) fn root(context: &'c Context<'c>, keys: &'static [&'static str]) -> Self {
        Self { spot: context.spot(String::new()), keys, members: Some(context.members) }.without_other_keys()
    }

    /// A section that is left out of the one above.
    pub(super) fn left_out(&self, key: &str, keys: &'static [&'static str]) -> Self {
        Self { spot: self.spot.key(key), keys, members: None }
    }

    /// Whether it is there.
    pub(super) fn is_written(&self) -> bool {
        self.members.is_some()
    }

    /// The value of a key, if it is there.
    pub(super) fn get(&self, key: &str) -> Option<Item<'c>> {
        debug_assert!(self.keys.contains(&key), "{}: {key} is none of {:?}", self.spot.path(), self.keys);
        let value = self.members?.get(key)?;
        Some(Item { spot: self.spot.key(key), value })
    }

    /// The value of a key that must be there.
    pub(super) fn required(&self, key: &str) -> Result<Item<'c>, Refused> {
        self.get(key).ok_or_else(|| self.error(key, "expected a value, got none"))
    }

    /// The section under a key.
    pub(super) fn section(&self, key: &str, keys: &'static [&'static str]) -> Result<Self, Refused> {
        self.get(key).map_or_else(|| Ok(self.left_out(key, keys)), |item| item.section(keys))
    }

    pub(super) fn boolean(&self, key: &str, default: bool) -> bool {
        self.or_default(key, default, |item| item.value.as_bool().ok_or_else(|| item.wrong("true or false")))
    }

    /// A whole number.
    pub(super) fn count(&self, key: &str, default: u32, range: RangeInclusive<u32>) -> u32 {
        let wanted = || format!("a whole number from {} to {}", range.start(), range.end());
        self.or_default(key, default, |item| {
            let count = whole_number(item.value).filter(|count| range.contains(count));
            count.ok_or_else(|| item.wrong(&wanted()))
        })
    }

    /// A part of something.
    pub(super) fn fraction(&self, key: &str, default: f64) -> f64 {
        self.or_default(key, default, |item| {
            let fraction = number(item.value).filter(|fraction| (0.0..=1.0).contains(fraction));
            fraction.ok_or_else(|| item.wrong("a number from 0 to 1"))
        })
    }

    pub(super) fn duration(&self, key: &str, default: Duration, range: RangeInclusive<Duration>) -> Duration {
        let wanted =
            || format!("a duration from {} to {}", length::text(*range.start()), length::text(*range.end()));
        self.or_default(key, default, |item| {
            let duration = item.value.as_str().and_then(length::parse);
            let duration = duration.ok_or_else(|| item.wrong("a duration such as \"2s\""))?;
            range.contains(&duration).then_some(duration).ok_or_else(|| item.wrong(&wanted()))
        })
    }

    /// What `read` makes of the value of a key. If there is none, or if it is wrong: the default.
    fn or_default<T>(&self, key: &str, default: T, read: impl FnOnce(Item<'c>) -> Result<T, Refused>) -> T {
        let Some(item) = self.get(key) else { return default };
        read(item).unwrap_or(default)
    }

    /// A list of texts; empty if it is left out.
    pub(super) fn texts(&self, key: &str) -> Result<Vec<String>, Refused> {
        let elements = self.elements(key)?;
        all(elements.iter().map(|element| element.text().map(str::to_owned)))
    }

    /// The elements of a list; none if it is left out.
    pub(super) fn elements(&self, key: &str) -> Result<Vec<Item<'c>>, Refused> {
        self.get(key).map_or_else(|| Ok(Vec::new()), |item| item.elements())
    }

    /// The members of an object whose keys are free; none if it is left out.
    pub(super) fn entries(&self, key: &str) -> Result<Vec<(&'c str, Item<'c>)>, Refused> {
        self.get(key).map_or_else(|| Ok(Vec::new()), |item| item.entries())
    }

    /// Says that what stands, or does not stand, under a key is allowed but hardly meant.
    pub(super) fn warn(&self, key: &str, warning: &str) {
        self.spot.key(key).warn(warning);
    }

    /// The names that stand in a section of the whole configuration, whatever may be wrong under them.
    pub(super) fn names_in(&self, section: &str) -> Vec<&'c str> {
        let members = self.spot.context.members.get(section).and_then(Value::as_object);
        members.into_iter().flat_map(Map::keys).map(String::as_str).collect()
    }

    /// The first key that is there besides `key`.
    pub(super) fn any_key_but(&self, key: &str) -> Option<&'c str> {
        self.members?.keys().map(String::as_str).find(|&other| other != key)
    }

    /// What is wrong with the value of a key, or with its absence.
    pub(super) fn error(&self, key: &str, problem: &str) -> Refused {
        self.spot.key(key).refuse(problem)
    }

    fn without_other_keys(self) -> Self {
        let present = self.members.into_iter().flat_map(Map::keys);
        for other in present.filter(|key| !self.keys.contains(&key.as_str())) {
            let problem = format!("expected one of the keys {}, got {other:?}", self.keys.join(", "));
            let error = ConfigError::new(self.spot.path(), problem);
            self.spot.context.note(ConfigError { unknown_key: Some(other.clone()), ..error });
        }
        self
    }

    /// The path of a key.
    pub(super) fn path_of(&self, key: &str) -> String {
        join(&self.spot.path(), key)
    }
}

impl<'c> Item<'c> {
    /// An object with some of these keys and no others.
    pub(super) fn section(self, keys: &'static [&'static str]) -> Result<Section<'c>, Refused> {
        let members = Some(self.object()?);
        Ok(Section { spot: self.spot, keys, members }.without_other_keys())
    }

    /// The member of an object that has only this one, with what `alternatives` has for its key.
    pub(super) fn only_member<T: Copy>(&self, alternatives: &[(&str, T)]) -> Option<(T, Self)> {
        let mut members = self.value.as_object()?.iter();
        let ((key, value), None) = (members.next()?, members.next()) else { return None };
        let (_, alternative) = alternatives.iter().find(|(name, _)| name == key)?;
        Some((*alternative, Item { spot: self.spot.key(key), value }))
    }

    /// What `choices` has for this name.
    pub(super) fn one_of<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, Refused> {
        let choice = choices.iter().find(|(name, _)| self.value.as_str() == Some(name));
        choice.map(|(_, choice)| *choice).ok_or_else(|| {
            self.wrong(&format!(
                "one of {}",
                choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
            ))
        })
    }

    /// The members of an object whose keys are free.
    pub(super) fn entries(&self) -> Result<Vec<(&'c str, Self)>, Refused> {
        let entry =
            |(key, value): (&'c String, &'c Value)| (key.as_str(), Item { spot: self.spot.key(key), value });
        Ok(self.object()?.iter().map(entry).collect())
    }

    /// The elements of a list.
    pub(super) fn elements(&self) -> Result<Vec<Self>, Refused> {
        let elements = self.value.as_array().ok_or_else(|| self.wrong_type("a list"))?.iter().enumerate();
        let item = |(index, value)| Item { spot: self.spot.element(index), value };
        Ok(elements.map(item).collect())
    }

    /// A text for which `holds` holds; `wanted` says so in words.
    pub(super) fn text_such(&self, wanted: &str, holds: fn(&str) -> bool) -> Result<&'c str, Refused> {
        match self.value {
            Value::String(text) if holds(text) => Ok(text),
            Value::Bool(_) | Value::Number(_) => {
                Err(self.error(wanted, &[&self.value.to_string(), QUOTES_NEEDED].concat()))
            }
            _ => Err(self.wrong(wanted)),
        }
    }

    /// Refuses whole numbers that are not what was written: a `Struct` has floats, and of whole numbers from 2^53 on only
    /// some.
    pub(super) fn exact(self) -> Result<Self, Refused> {
        match self.value {
            Value::Number(number)
                if number.as_f64().filter(|_| number.is_f64()).is_some_and(is_too_large) =>
            {
                return Err(self.error(
                    "a whole number below 2^53, or a text",
                    "one that cannot be told from its neighbours",
                ));
            }
            Value::Array(_) => self.elements()?.into_iter().try_for_each(|item| item.exact().map(drop))?,
            Value::Object(_) => {
                self.entries()?.into_iter().try_for_each(|(_, item)| item.exact().map(drop))?
            }
            _ => {}
        }
        Ok(self)
    }

    /// The error for a value that is not as wanted, and may be shown.
    pub(super) fn wrong(&self, wanted: &str) -> Refused {
        match self.value {
            Value::String(text) if text.len() <= LONGEST_SHOWN => self.error(wanted, &format!("{text:?}")),
            Value::Bool(_) | Value::Number(_) => self.error(wanted, &self.value.to_string()),
            _ => self.wrong_type(wanted),
        }
    }

    /// The error for a value that is not as wanted, and may be a secret.
    pub(super) fn wrong_type(&self, wanted: &str) -> Refused {
        let got = match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(text) if text.len() > LONGEST_SHOWN => "a long string",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        self.error(wanted, got)
    }

    /// What was wanted here, and what was there, in words.
    pub(super) fn error(&self, wanted: &str, got: &str) -> Refused {
        self.spot.refuse(&["expected ", wanted, ", got ", got].concat())
    }

    /// Says that this is allowed but hardly meant.
    pub(super) fn warn(&self, warning: &str) {
        self.spot.warn(warning);
    }

    fn object(&self) -> Result<&'c Map<String, Value>, Refused> {
        self.value.as_object().ok_or_else(|| self.wrong_type("an object"))
    }
}

impl<'c> Spot<'c> {
    /// That of a member.
    pub(super) fn key(self, key: &str) -> Self {
        self.context.spot(join(&self.path(), key))
    }

    /// That of an element.
    fn element(self, index: usize) -> Self {
        self.context.spot(format!("{}[{index}]", self.path()))
    }

    /// The keys to it from the top, with dots; empty for the whole.
    pub(super) fn path(self) -> String {
        self.context.paths.borrow().get(self.index).cloned().unwrap_or_default()
    }

    /// Notes what is wrong here.
    pub(super) fn refuse(self, problem: &str) -> Refused {
        self.context.note(ConfigError::new(self.path(), problem))
    }

    /// Adds to all that is wrong from here down.
    pub(super) fn explain(self, hint: &str) {
        let path = self.path();
        let is_here = |error: &&mut ConfigError| {
            error.path.strip_prefix(&path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        for error in self.context.errors.borrow_mut().iter_mut().filter(is_here) {
            error.problem = [&error.problem, " ", hint].concat();
        }
    }

    /// Says that this is allowed but hardly meant.
    pub(super) fn warn(self, warning: &str) {
        self.context.warn(&self.path(), warning);
    }
}

impl<'c> Context<'c> {
    pub(super) fn new(members: &'c Map<String, Value>, env: &'c dyn Fn(&str) -> Option<String>) -> Self {
        let (warnings, errors, paths) = Default::default();
        Self { env, members, warnings, errors, paths }
    }

    /// What was read, and what of it is allowed but hardly meant; or all that is wrong, if anything is.
    pub(super) fn finish<T>(&self, read: Result<T, Refused>) -> Result<(T, Vec<String>), Vec<ConfigError>> {
        match read {
            Ok(read) if self.errors.borrow().is_empty() => Ok((read, self.warnings.take())),
            _ => Err(self.errors.take()),
        }
    }

    /// Says that what stands under `path` is allowed but hardly meant.
    pub(super) fn warn(&self, path: &str, warning: &str) {
        self.warnings.borrow_mut().push([path, ": ", warning].concat());
    }

    /// What is read twice is noted once.
    fn note(&self, error: ConfigError) -> Refused {
        let mut errors = self.errors.borrow_mut();
        if !errors.contains(&error) {
            errors.push(error);
        }
        Refused(())
    }

    fn spot(&'c self, path: String) -> Spot<'c> {
        let mut paths = self.paths.borrow_mut();
        paths.push(path);
        Spot { context: self, index: paths.len() - 1 }
    }
}

/// All of these, if none is wrong; every one is asked for.
pub(super) fn all<T>(results: impl IntoIterator<Item = Result<T, Refused>>) -> Result<Vec<T>, Refused> {
    let mut all = Ok(Vec::new());
    for result in results {
        match (result, &mut all) {
            (Ok(one), Ok(others)) => others.push(one),
            (Ok(_), Err(_)) => {}
            (Err(refused), so_far) => *so_far = Err(refused),
        }
    }
    all
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { [path, ".", key].concat() }
}

/// A number. Of the plain scalars of YAML, Envoy keeps booleans and whole numbers of 32 bits as they are and makes a text
/// of every other, so a decimal number counts as one where a number is wanted.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        // No `inf` and no `0x`: what JSON takes, and the `.5` that YAML takes besides.
        Value::String(text) if text.len() <= LONGEST_NUMBER && text.bytes().all(is_number_byte) => {
            text.parse().ok().filter(|number: &f64| number.is_finite())
        }
        _ => None,
    }
}

fn is_number_byte(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E')
}

/// Protocol buffers know only floats, so `3.0` is a whole number, too.
pub(super) fn whole_number(value: &Value) -> Option<u32> {
    if let Some(whole) = value.as_u64() {
        return whole.try_into().ok();
    }
    let float = number(value)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "compared afterwards")]
    let whole = float as u32;
    (f64::from(whole) == float).then_some(whole)
}

/// What Envoy's YAML reads as something else than a text: `no`, `on` and `n` are booleans, digits are a number.
pub(super) const QUOTES_NEEDED: &str = " (in YAML, such a text needs quotes)";

/// 2^53: all whole numbers below are floats, too.
fn is_too_large(float: f64) -> bool {
    float.abs() >= 9_007_199_254_740_992.0
}

/// More digits than these make no other number.
const LONGEST_NUMBER: usize = 32;

/// Longest text that an error shows: a key or a token that stands in the wrong place is longer.
const LONGEST_SHOWN: usize = 64;
