//! Texts that somebody has written: their length, and that they are one line for people.

use super::refusal::AccessRefusal;

/// Refuses a text that is too long, or that would do something to a terminal or a log instead of standing there.
pub(in crate::directory) fn check_text(what: &str, text: &str, length_max: usize) -> Result<(), AccessRefusal> {
    let invalid = |problem: String| Err(AccessRefusal::TextInvalid { what: what.to_owned(), problem });
    if text.len() > length_max {
        return invalid(format!("has {} bytes: {length_max} at most are kept, shorten it", text.len()));
    }
    if text.chars().any(char::is_control) {
        return invalid("holds control characters: write it in one line of plain text".to_owned());
    }
    Ok(())
}

/// A text within the same bounds, for what comes from elsewhere and can be corrected by nobody here.
#[must_use]
pub(in crate::directory) fn bounded_text(text: &str, length_max: usize) -> String {
    let mut bounded: String = text.chars().filter(|character| !character.is_control()).collect();
    bounded.truncate(bounded.floor_char_boundary(length_max));
    bounded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_short_line() {
        assert_eq!(check_text("the note", "für Anna", 9), Ok(()));
        for (text, problem) in [("für Annas", "has 10 bytes: 9 at most"), ("a\nb", "control"), ("\u{1b}[2J", "control")]
        {
            let error = check_text("the note", text, 9).unwrap_err().to_string();
            assert!(error.starts_with("the note ") && error.contains(problem), "{error}");
            assert_eq!(check_text("the note", &bounded_text(text, 9), 9), Ok(()));
        }
        assert_eq!(bounded_text("ää\n", 3), "ä");
    }
}
