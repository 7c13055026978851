//! Errors and notices, as psql prints them.

use crate::message::field;
use std::io::{self, Write};
use unicode_width::UnicodeWidthChar;

/// How much of a line is shown, in places.
const SHOWN: usize = 60;
/// How much of it at least behind the place of the error.
const BEHIND: usize = 10;

/// Prints an error or a notice about `statement`.
pub(crate) fn print(statement: &str, body: &[u8], error: bool, color: bool, output: &mut impl Write) -> io::Result<()> {
    let get = |code: u8| field(body, code).map(String::from_utf8_lossy);
    let severity = get(b'S').unwrap_or_default();
    let text = get(b'M').unwrap_or_default();
    match color {
        true => writeln!(output, "\x1b[01;{}m{severity}:\x1b[0m  {text}", if error { 31 } else { 35 })?,
        false => writeln!(output, "{severity}:  {text}")?,
    }
    let position = |code: u8| get(code).and_then(|text| text.parse::<usize>().ok());
    if let Some(at) = position(b'P') {
        show(statement, at, output)?;
    } else if let (Some(query), Some(at)) = (get(b'q'), position(b'p')) {
        show(&query, at, output)?;
    }
    for (code, label) in [(b'D', "DETAIL"), (b'H', "HINT")] {
        if let Some(text) = get(code) {
            writeln!(output, "{label}:  {text}")?;
        }
    }
    if error {
        if let (Some(query), None) = (get(b'q'), position(b'p')) {
            writeln!(output, "QUERY:  {query}")?;
        }
        if let Some(text) = get(b'W') {
            writeln!(output, "CONTEXT:  {text}")?;
        }
    }
    Ok(())
}

/// Prints the line with the character at `position`, which counts from 1, and a mark below it.
fn show(query: &str, position: usize, output: &mut impl Write) -> io::Result<()> {
    let Some(at) = position.checked_sub(1).filter(|at| *at <= query.chars().count()) else { return Ok(()) };
    let before = query.chars().take(at).filter(|c| *c == '\n').count();
    let begin = query.chars().take(at).collect::<Vec<_>>().iter().rposition(|c| *c == '\n').map_or(0, |n| n + 1);
    let line: Vec<char> = query.chars().skip(begin).take_while(|c| !matches!(c, '\n' | '\r')).collect();
    let line: Vec<char> = line.into_iter().map(|c| if c == '\t' { ' ' } else { c }).collect();
    let at = (at - begin).min(line.len());

    // Places before each character, and at the end.
    let mut places = vec![0];
    for c in &line {
        places.push(places[places.len() - 1] + c.width().unwrap_or(1));
    }
    let (mut from, mut to) = (0, line.len());
    if places[to] > SHOWN {
        if SHOWN >= places[at] + BEHIND {
            while places[to] > SHOWN {
                to -= 1;
            }
        } else {
            while places[at] + BEHIND < places[to] {
                to -= 1;
            }
            while places[to] - places[from] > SHOWN {
                from += 1;
            }
        }
    }
    let label = format!("LINE {}: {}", before + 1, if from > 0 { "..." } else { "" });
    let end = if to < line.len() { "..." } else { "" };
    writeln!(output, "{label}{}{end}", line[from..to].iter().collect::<String>())?;
    writeln!(output, "{:width$}^", "", width = label.len() + places[at] - places[from])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(statement: &str, body: &str, error: bool) -> String {
        let mut text = Vec::new();
        print(statement, body.as_bytes(), error, false, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn errors_look_like_those_of_psql() {
        let body = "SERROR\0C42703\0Mcolumn \"b\" does not exist\0P15\0HLook again.\0WSQL function\0\0";
        let expected = "ERROR:  column \"b\" does not exist\nLINE 2:        b;\n               ^\nHINT:  Look again.\nCONTEXT:  SQL function\n";
        assert_eq!(printed("SELECT\n\t      b;", body, true), expected);
        assert_eq!(printed("", "SNOTICE\0Mhello\0DMore.\0WPL\0\0", false), "NOTICE:  hello\nDETAIL:  More.\n");
        assert_eq!(printed("x", "SERROR\0Mm\0P99\0\0", true), "ERROR:  m\n");
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let query = format!("SELECT {} b {}", "x,".repeat(50), "y".repeat(50));
        let text = printed(&query, "SERROR\0Mm\0P109\0\0", true);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("LINE 1: ...") && lines[1].ends_with("..."), "{text}");
        assert_eq!(lines[1].chars().nth(lines[2].len() - 1), Some('b'), "{text}");
    }
}
