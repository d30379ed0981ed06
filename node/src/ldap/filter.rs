//! Filters as the operator writes them, with places for a name (`{name}`) and for an entry's own name (`{dn}`).

use ldap3::ldap_escape;

/// What stands for the name that a person has typed.
pub(super) const NAME: &str = "{name}";

/// What stands for the distinguished name of a person or a group.
pub(super) const DN: &str = "{dn}";

/// A filter for this person or group. What is put in cannot end the place it is put into (RFC 4515, 3).
pub(super) fn fill(template: &str, name: &str, dn: &str) -> String {
    let mut filled = String::with_capacity(template.len() + name.len() + dn.len());
    let mut rest = template;
    // In one pass: what was put in is not looked at again.
    while let Some(at) = rest.find('{') {
        let (before, behind) = rest.split_at(at);
        filled.push_str(before);
        rest = if let Some(behind) = behind.strip_prefix(NAME) {
            filled.push_str(&ldap_escape(name));
            behind
        } else if let Some(behind) = behind.strip_prefix(DN) {
            filled.push_str(&ldap_escape(dn));
            behind
        } else {
            filled.push('{');
            &behind[1..]
        };
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_place() {
        assert_eq!(fill("(uid={name})", "ann", ""), "(uid=ann)");
        assert_eq!(fill("(uid={name})", "*", ""), "(uid=\\2a)");
        assert_eq!(fill("(uid={name})", "a)(uid=*", ""), "(uid=a\\29\\28uid=\\2a)");
        assert_eq!(fill("(uid={name})", "a\\b\0", ""), "(uid=a\\5cb\\00)");
        assert_eq!(fill("(&(uid={name})(x={dn}))", "{dn}", "{name}"), "(&(uid={dn})(x={name}))");
        assert_eq!(fill("(a={)(b={names})", "x", "y"), "(a={)(b={names})");
        let nested = fill("(member:1.2.840.113556.1.4.1941:={dn})", "", "cn=a (b),dc=x");
        assert_eq!(nested, "(member:1.2.840.113556.1.4.1941:=cn=a \\28b\\29,dc=x)");
    }

    /// What an escaped value stands for (RFC 4515, 3).
    fn unescaped(text: &str) -> Vec<u8> {
        let (mut bytes, mut rest) = (Vec::new(), text);
        while let Some((before, behind)) = rest.split_once('\\') {
            bytes.extend(before.as_bytes());
            bytes.push(u8::from_str_radix(&behind[..2], 16).unwrap());
            rest = &behind[2..];
        }
        bytes.extend(rest.as_bytes());
        bytes
    }

    #[test]
    fn what_a_server_reads_is_what_was_put_in() {
        const WORDS: &[&str] =
            &["ann", "*", "(", ")", "\\", "\\2a", "\0", "{name}", "{dn}", "&", "|", "=", ")(uid=*", "é", ",", " "];
        crate::fuzz::explore!("ldap_filters", |input: &[u8]| {
            let (name, dn) = input.split_at(input.len() / 2);
            let (name, dn) = (crate::fuzz::spelled(name, WORDS), crate::fuzz::spelled(dn, WORDS));
            let filled = fill("(&(uid={name})(member={dn}))", &name, &dn);
            let inside = filled.strip_prefix("(&(uid=").and_then(|rest| rest.strip_suffix("))")).unwrap();
            let (first, second) = inside.split_once(")(member=").unwrap();
            for (value, text) in [(first, &name), (second, &dn)] {
                assert!(!value.contains(['(', ')', '*', '\0']), "{name:?} {dn:?}: {filled:?}");
                assert_eq!(unescaped(value), text.as_bytes(), "{filled:?}");
            }
        });
    }

    proptest::proptest! {
        #[test]
        fn a_filled_filter_has_the_shape_of_its_template(name in ".{0,40}", dn in ".{0,40}") {
            let filled = fill("(&(uid={name})(member={dn}))", &name, &dn);
            let count = |byte| filled.bytes().filter(|found| *found == byte).count();
            proptest::prop_assert_eq!((count(b'('), count(b')'), count(b'*'), count(0)), (3, 3, 0, 0));
        }
    }
}
