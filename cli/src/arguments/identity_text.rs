//! Names, subjects, actions, moments, networks and claims as they are typed.

use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};

use raft::directory::{Action, Actions, Subject, is_access_name, is_user_name};

use super::{Lifetime, TypedDaily, TypedMoment, TypedTrust};

/// Name of a robot, a group, a role or an issuer.
pub(super) fn access_name(text: &str) -> Result<String, String> {
    if is_access_name(text) {
        return Ok(text.to_owned());
    }
    Err("1 to 63 lower-case letters, digits, '.', '_' and '-' are expected, the first and the last a letter or a digit"
        .to_owned())
}

/// Name of a user.
pub(super) fn user_name(text: &str) -> Result<String, String> {
    if is_user_name(text) {
        return Ok(text.to_owned());
    }
    Err("lower-case letters, digits, '.', '_', '-' and, inside, '@' are expected, at most 127, the first and the last a \
         letter or a digit"
        .to_owned())
}

/// Whom a rule is about.
pub(super) fn subject(text: &str) -> Result<Subject, String> {
    text.parse().map_err(|_| {
        "user:NAME, robot:NAME, group:NAME, authenticated or anonymous is expected, for example user:alice".to_owned()
    })
}

/// Somebody who can ask.
pub(super) fn caller(text: &str) -> Result<Subject, String> {
    match subject(text)? {
        Subject::Authenticated | Subject::Group(_) => {
            Err("name one caller: user:NAME, robot:NAME or anonymous; what holds for his groups is shown with him"
                .to_owned())
        }
        subject => Ok(subject),
    }
}

/// Somebody who can belong to a group.
pub(super) fn member(text: &str) -> Result<Subject, String> {
    match subject(text)? {
        subject @ (Subject::User(_) | Subject::Robot(_)) => Ok(subject),
        _ => Err("users and robots belong to groups: user:NAME or robot:NAME is expected".to_owned()),
    }
}

/// What may be done.
pub(super) fn action(text: &str) -> Result<Action, String> {
    text.trim().parse().map_err(|_| {
        let names: Vec<&str> = Action::ALL.iter().map(|action| action.name()).collect();
        format!("one of {} is expected", names.join(", "))
    })
}

/// Several actions, with commas between them.
pub(super) fn actions(text: &str) -> Result<Actions, String> {
    text.split(',').map(action).collect()
}

/// How long something is good for.
pub(super) fn lifetime(text: &str) -> Result<Lifetime, String> {
    if text == "never" {
        return Ok(Lifetime::Endless);
    }
    match humantime::parse_duration(text) {
        Ok(duration) if duration >= Duration::from_secs(1) => Ok(Lifetime::For(duration)),
        Ok(_) => Err("it would be over at once: name a duration, for example 90d, or never".to_owned()),
        Err(error) => Err(format!("{error}; a duration is expected, for example 90d, or never")),
    }
}

/// A moment, or how far away it is.
pub(super) fn typed_moment(text: &str) -> Result<TypedMoment, String> {
    if let Ok(duration) = humantime::parse_duration(text) {
        return Ok(TypedMoment::In(duration.as_secs()));
    }
    let whole = if text.len() == "2027-01-31".len() { format!("{text}T00:00:00Z") } else { text.to_owned() };
    let moment = humantime::parse_rfc3339_weak(&whole).ok().and_then(|moment| moment.duration_since(UNIX_EPOCH).ok());
    match moment.and_then(|since| u64::try_from(since.as_millis()).ok()) {
        Some(milliseconds) => Ok(TypedMoment::At(milliseconds)),
        None => {
            Err("a moment in UTC is expected, for example 2027-01-31 or 2027-01-31T08:00:00Z, or how far away it is, \
                     for example 30d"
                .to_owned())
        }
    }
}

/// A time of the day.
pub(super) fn daily(text: &str) -> Result<TypedDaily, String> {
    let minutes = |text: &str| {
        let (hours, minutes) = text.split_once(':')?;
        let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(hours) || !digits(minutes) {
            return None;
        }
        let (hours, minutes) = (hours.parse::<u16>().ok()?, minutes.parse::<u16>().ok()?);
        (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
    };
    let parsed = text.split_once('-').and_then(|(from, to)| Some((minutes(from)?, minutes(to)?)));
    match parsed {
        Some((from, to)) if from != to => Ok(TypedDaily { from, to }),
        _ => Err("two different times of the day in UTC are expected, for example 08:00-18:00".to_owned()),
    }
}

/// A network, or one address.
pub(super) fn network(text: &str) -> Result<String, String> {
    let expected =
        || "a network or an address is expected, for example 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32".to_owned();
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| expected())?;
    let bits = if address.is_ipv4() { 32_u8 } else { 128 };
    let length = match length {
        None => bits,
        Some(length) => length.parse().ok().filter(|length| *length <= bits).ok_or_else(expected)?,
    };
    Ok(format!("{address}/{length}"))
}

/// A claim, and what it has to be.
pub(super) fn trust(text: &str) -> Result<TypedTrust, String> {
    match text.split_once('=') {
        Some((claim, pattern)) if !claim.is_empty() && !pattern.is_empty() => {
            Ok(TypedTrust { claim: claim.to_owned(), pattern: pattern.to_owned() })
        }
        _ => Err("CLAIM=PATTERN is expected, for example repository=acme/app".to_owned()),
    }
}

/// A group of an outside login, and ours that it stands for.
pub(super) fn mapped_group(text: &str) -> Result<(String, String), String> {
    // Names of theirs may hold anything, an equals sign too; ours hold none.
    match text.rsplit_once('=') {
        Some((theirs, ours)) if !theirs.is_empty() => Ok((theirs.to_owned(), access_name(ours)?)),
        _ => Err("THEIRS=OURS is expected, for example platform-team=developers".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_date_a_time_or_a_distance() {
        assert_eq!(typed_moment("1970-01-02"), Ok(TypedMoment::At(86_400_000)));
        assert_eq!(typed_moment("1970-01-01T00:00:01Z"), Ok(TypedMoment::At(1_000)));
        assert_eq!(typed_moment("1970-01-01 00:00:02"), Ok(TypedMoment::At(2_000)));
        assert_eq!(typed_moment("30d"), Ok(TypedMoment::In(2_592_000)));
        assert_eq!(TypedMoment::In(2).milliseconds(5), 2_005);
        for bad in ["", "soon", "2027-13-01", "1969-12-31", "2027-01-31T25:00:00Z"] {
            assert!(typed_moment(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_time_of_the_day_may_reach_over_midnight() {
        assert_eq!(daily("08:00-18:30"), Ok(TypedDaily { from: 480, to: 1110 }));
        assert_eq!(daily("22:00-06:00"), Ok(TypedDaily { from: 1320, to: 360 }));
        for bad in ["", "8:00-18:00", "08:00", "08:00-08:00", "24:00-01:00", "08:60-09:00", "+8:00-09:00"] {
            assert!(daily(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_network_may_be_one_address() {
        assert_eq!(network("10.0.0.0/8").unwrap(), "10.0.0.0/8");
        assert_eq!(network("192.0.2.7").unwrap(), "192.0.2.7/32");
        assert_eq!(network("2001:db8::1").unwrap(), "2001:db8::1/128");
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "example.com", "::/129", "10.0.0.0/"] {
            assert!(network(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_caller_is_somebody() {
        assert!(caller("user:alice").is_ok() && caller("anonymous").is_ok());
        assert!(caller("group:developers").is_err() && caller("authenticated").is_err() && caller("alice").is_err());
        assert!(member("robot:ci").is_ok() && member("anonymous").is_err());
    }

    #[test]
    fn what_is_named_is_checked() {
        assert!(access_name("ci-1.a_b").is_ok() && access_name("CI").is_err() && access_name("-ci").is_err());
        assert!(user_name("alice@example.com").is_ok() && user_name("@alice").is_err());
        assert!(action("push").is_ok() && action("write").unwrap_err().contains("pull"));
        assert_eq!(lifetime("never"), Ok(Lifetime::Endless));
        assert_eq!(lifetime("90d").map(Lifetime::seconds), Ok(Some(7_776_000)));
        assert!(lifetime("0s").is_err() && lifetime("long").is_err());
        assert_eq!(mapped_group("cn=dev,dc=org=developers").unwrap().0, "cn=dev,dc=org");
        assert!(mapped_group("=x").is_err() && mapped_group("a=B").is_err() && mapped_group("a").is_err());
        assert!(
            trust("ref=refs/heads/*").is_ok() && trust("ref").is_err() && trust("=x").is_err() && trust("x=").is_err()
        );
    }
}
