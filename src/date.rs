//! Dates as texts, of headers and of claims.

use crate::token::UnixMillis;

/// A date as HTTP writes it (RFC 9110 §5.6.7), in its one form that is not obsolete: `Fri, 27 Nov 2026 22:18:55 GMT`.
pub(crate) fn imf_fixdate(text: &str) -> Option<UnixMillis> {
    let mut words = text.split_once(", ")?.1.strip_suffix(" GMT")?.split(' ');
    let mut word = || words.next();
    let (day, month, year, time) = (word()?, word()?, word()?, word()?);
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    Some(UnixMillis::from_secs(seconds([number(year)?, month, number(day)?], time)?))
}

/// A date as RFC 3339 (§5.6) writes it, to the second: `2026-11-27T22:18:55.956Z`, `2026-11-27T22:18:55+01:00`.
pub(crate) fn rfc_3339(text: &str) -> Option<UnixMillis> {
    let (date, time) = text.split_once(['T', 't'])?;
    let mut date = date.split('-').map(number);
    let date = [date.next()??, date.next()??, date.next()??];
    let (time, offset) = match time.strip_suffix(['Z', 'z']) {
        Some(time) => (time, 0),
        None => {
            let (time, offset) = time.split_at_checked(time.rfind(['+', '-'])?)?;
            let (hours, minutes) = offset.get(1..)?.split_once(':')?;
            let seconds = (number(hours)? * 60 + number(minutes)?) * 60;
            let seconds = i64::try_from(seconds).ok().filter(|seconds| *seconds < 24 * 60 * 60)?;
            (time, if offset.starts_with('-') { -seconds } else { seconds })
        }
    };
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let is_fraction = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = seconds(date, time).filter(|_| is_fraction)?.checked_add_signed(-offset)?;
    Some(UnixMillis::from_secs(seconds))
}

/// Seconds from 1970 to a year, month and day, and a time as `22:18:55`.
fn seconds([year, month, day]: [u64; 3], time: &str) -> Option<u64> {
    let mut parts = time.split(':').map(number);
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let is_date = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !is_date || hour > 23 || minute > 59 || second > 60 || parts.next().is_some() {
        return None;
    }
    // Days of a calendar whose year begins in March, so that a leap day comes last.
    let (month, year) = if month < 3 { (month + 9, year - 1) } else { (month - 3, year) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    let days = days.checked_sub(DAYS_TO_1970)?;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

fn number(text: &str) -> Option<u64> {
    let is_one = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_one)
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// From the first of March of the year 0.
const DAYS_TO_1970: u64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_of_rfc_3339_is_read_with_any_offset_and_fraction() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-27T17:42:09.956Z", 1_795_801_329),
            ("2026-11-27t17:42:09z", 1_795_801_329),
            ("2026-11-27T18:42:09+01:00", 1_795_801_329),
            ("2026-11-27T12:12:09.1-05:30", 1_795_801_329),
            ("2024-02-29T12:00:00Z", 1_709_208_000),
        ] {
            assert_eq!(rfc_3339(text), Some(UnixMillis::from_secs(seconds)), "{text}");
        }
        for other in [
            "",
            "T",
            "yesterday",
            "2026-11-27",
            "2026-11-27T17:42:09",
            "2026-11-27T17:42Z",
            "2026-11-27T17:42:09.Z",
            "2026-11-27T17:42:09:00Z",
            "2026-13-27T17:42:09Z",
            "2026-11-27T17:42:09+25:00",
            "2026-11-27T17:42:09+-1:00",
            "1970-01-01T00:00:00+01:00",
            "+202-11-27T17:42:09Z",
            "2026-11-27T17:42:09\u{e9}Z",
        ] {
            assert_eq!(rfc_3339(other), None, "{other}");
        }
    }
}
