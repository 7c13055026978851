//! Where a statement ends: at a semicolon outside of quotes, comments, parentheses and the bodies of SQL functions.

/// Length of the first statement of `text`, its semicolon included; `None` where it does not end yet.
pub(crate) fn statement(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut parentheses = 0_usize;
    let mut words = Words::default();
    while at < text.len() {
        let rest = &text[at..];
        at += match rest[0] {
            b';' if parentheses == 0 && words.depth == 0 => return Some(at + 1),
            b'(' => {
                parentheses += 1;
                1
            }
            b')' => {
                parentheses = parentheses.saturating_sub(1);
                1
            }
            b'-' if rest.starts_with(b"--") => rest.iter().position(|b| *b == b'\n')?,
            b'/' if rest.starts_with(b"/*") => comment(rest)?,
            b'"' => quoted(rest, b'"', false)?,
            b'\'' => quoted(rest, b'\'', at > 0 && escapes(&text[..at]))?,
            b'$' => match dollar_tag(rest) {
                Some(tag) => find(&rest[tag.len()..], tag)? + 2 * tag.len(),
                None => 1,
            },
            b if begins_word(b) => {
                let length = rest.iter().position(|b| !in_word(*b)).unwrap_or(rest.len());
                words.see(&rest[..length], parentheses);
                length
            }
            // A number, and what is glued to it: `$` begins nothing there.
            b if b.is_ascii_digit() => rest.iter().position(|b| !in_word(*b)).unwrap_or(rest.len()),
            _ => 1,
        };
    }
    None
}

fn begins_word(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_' || b >= 0x80
}

fn in_word(b: u8) -> bool {
    begins_word(b) || b.is_ascii_digit() || b == b'$'
}

/// Whether a quote behind `before` takes escapes: it is that of `E'...'`.
fn escapes(before: &[u8]) -> bool {
    matches!(before, [.., b'e' | b'E']) && !before[..before.len() - 1].last().is_some_and(|b| in_word(*b))
}

/// Length of a quotation. A doubled quote is two of them, one behind the other: that comes to the same.
fn quoted(text: &[u8], quote: u8, escapes: bool) -> Option<usize> {
    let mut at = 1;
    loop {
        match *text.get(at)? {
            b'\\' if escapes => at += 2,
            b if b == quote && text.get(at + 1) == Some(&quote) => at += 2,
            b if b == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
}

fn comment(text: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (2, 1);
    while depth > 0 {
        match text.get(at..at + 2)? {
            b"/*" => (at, depth) = (at + 2, depth + 1),
            b"*/" => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
    }
    Some(at)
}

/// `$$` or `$tag$`.
fn dollar_tag(text: &[u8]) -> Option<&[u8]> {
    let end = text[1..].iter().position(|b| *b == b'$')? + 1;
    let name = &text[1..end];
    let is_name = name.first().is_none_or(|b| begins_word(*b)) && name.iter().all(|b| in_word(*b));
    is_name.then(|| &text[..=end])
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// Watches for `CREATE FUNCTION ... BEGIN ATOMIC ...; END`, as psql does.
#[derive(Default)]
struct Words {
    first: Vec<u8>,
    depth: usize,
}

impl Words {
    fn see(&mut self, word: &[u8], parentheses: usize) {
        let is = |other: &str| word.eq_ignore_ascii_case(other.as_bytes());
        if self.first.len() < 4 {
            let known = ["create", "function", "procedure", "or", "replace"].iter().any(|k| is(k));
            self.first.push(if known { word[0].to_ascii_lowercase() } else { b' ' });
        }
        let routine = matches!(self.first[..], [b'c', b'f' | b'p', ..] | [b'c', b'o', b'r', b'f' | b'p', ..]);
        if routine && parentheses == 0 {
            if is("begin") || (is("case") && self.depth > 0) {
                self.depth += 1;
            } else if is("end") {
                self.depth = self.depth.saturating_sub(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        let mut all = Vec::new();
        let mut rest = text;
        while let Some(length) = statement(rest.as_bytes()) {
            all.push(rest[..length].trim());
            rest = &rest[length..];
        }
        all.push(rest.trim());
        all
    }

    #[test]
    fn semicolons_inside_of_something_end_nothing() {
        let whole = [
            "SELECT 1;",
            "SELECT ';', 'it''s;', E'\\';', \"a;\"\"b\";",
            "SELECT /* ; /* ; */ ; */ 1 -- ;\n;",
            "DO $$ BEGIN; END $$;",
            "SELECT $a$ ; $$ ; $b$ ; $a$;",
            "SELECT a$b FROM c$d;",
            "SELECT $1;",
            "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2);",
            "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;",
            "CREATE PROCEDURE p() LANGUAGE sql BEGIN ATOMIC SELECT 1; END;",
            "BEGIN;",
            "END;",
        ];
        for text in whole {
            assert_eq!(split(text), [text, ""], "{text}");
        }
        assert_eq!(split("SELECT 1; SELECT 2;\nSELECT"), ["SELECT 1;", "SELECT 2;", "SELECT"]);
        assert_eq!(split("SELECT 'a\\'; SELECT 2;"), ["SELECT 'a\\';", "SELECT 2;", ""]);
    }

    #[test]
    fn what_is_open_stays_open() {
        for text in
            ["", "SELECT 1", "SELECT ';", "SELECT \";", "/* ;", "-- ;", "$$ ; $", "SELECT (1;", "E'\\';", "E'\\"]
        {
            assert_eq!(statement(text.as_bytes()), None, "{text}");
        }
    }
}
