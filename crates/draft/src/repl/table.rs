//! Aligned tables, as psql prints them (`\pset border 1`).

use std::io::{self, Write};
use unicode_width::UnicodeWidthChar;

/// A column: its name, and whether its values are numbers, which stand on the right.
pub(crate) struct Column {
    name: Vec<Line>,
    right: bool,
}

/// A line of a cell, and how many places it takes.
struct Line {
    text: String,
    width: usize,
}

/// Types whose values stand on the right: int2, int4, int8, float4, float8, numeric, oid, xid, xid8, cid, money.
const NUMBERS: [u32; 11] = [21, 23, 20, 700, 701, 1700, 26, 28, 5069, 29, 790];

/// Reads a `RowDescription`.
pub(crate) fn header(body: &[u8]) -> Vec<Column> {
    let mut all = Vec::new();
    let mut rest = body.get(2..).unwrap_or_default();
    while let Some(end) = rest.iter().position(|b| *b == 0) {
        let Some(fixed) = rest.get(end + 1..end + 19) else { break };
        let oid = fixed[6..10].iter().fold(0, |oid, byte| oid << 8 | u32::from(*byte));
        all.push(Column { name: lines(&rest[..end]), right: NUMBERS.contains(&oid) });
        rest = &rest[end + 19..];
    }
    all
}

/// Splits a value into lines, with everything that is not printable made visible.
fn lines(value: &[u8]) -> Vec<Line> {
    let mut all = vec![Line { text: String::new(), width: 0 }];
    for c in String::from_utf8_lossy(value).chars() {
        let line = all.last_mut().expect("it begins with one");
        match c {
            '\n' => all.push(Line { text: String::new(), width: 0 }),
            '\t' => {
                let spaces = 8 - line.width % 8;
                line.text.extend(std::iter::repeat_n(' ', spaces));
                line.width += spaces;
            }
            '\r' => {
                line.text += "\\r";
                line.width += 2;
            }
            _ => match c.width() {
                Some(width) => {
                    line.text.push(c);
                    line.width += width;
                }
                None => {
                    let code = u32::from(c);
                    let shown = if code < 0x80 { format!("\\x{code:02X}") } else { format!("\\u{code:04X}") };
                    line.width += shown.len();
                    line.text += &shown;
                }
            },
        }
    }
    all
}

/// Prints a table with its number of rows.
pub(crate) fn print(header: &[Column], rows: &[Vec<Option<&[u8]>>], output: &mut impl Write) -> io::Result<()> {
    let cells: Vec<Vec<Vec<Line>>> =
        rows.iter().map(|row| row.iter().map(|value| lines(value.unwrap_or_default())).collect()).collect();
    let width = |lines: &[Line]| lines.iter().map(|line| line.width).max().unwrap_or(0);
    let mut widths: Vec<usize> = header.iter().map(|column| width(&column.name)).collect();
    for row in &cells {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(width(cell));
        }
    }
    let last = header.len().saturating_sub(1);

    for number in 0..header.iter().map(|column| column.name.len()).max().unwrap_or(0) {
        for (at, column) in header.iter().enumerate() {
            let (text, taken) = column.name.get(number).map_or(("", 0), |line| (&line.text, line.width));
            let space = widths[at] - taken;
            let mark = if number + 1 < column.name.len() { "+" } else { " " };
            write!(output, " {:left$}{text}{:right$}{mark}", "", "", left = space / 2, right = space.div_ceil(2))?;
            output.write_all(if at < last { b"|" } else { b"\n" })?;
        }
    }
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
    writeln!(output, "{}", if rule.is_empty() { "--".into() } else { rule.join("+") })?;

    for row in &cells {
        for number in 0..row.iter().map(Vec::len).max().unwrap_or(0) {
            for (at, cell) in row.iter().enumerate() {
                let (text, taken) = cell.get(number).map_or(("", 0), |line| (&line.text, line.width));
                let space = widths[at] - taken;
                let goes_on = number + 1 < cell.len();
                let padded = at < last || goes_on;
                match header[at].right {
                    true if cell.len() > number || padded => write!(output, " {:space$}{text}", "")?,
                    false if padded => write!(output, " {text}{:space$}", "")?,
                    _ => write!(output, " {text}")?,
                }
                output.write_all(match (goes_on, at < last) {
                    (true, _) => b"+",
                    (false, true) => b" ",
                    (false, false) => b"",
                })?;
                output.write_all(if at < last { b"|" } else { b"\n" })?;
            }
        }
    }
    let s = if rows.len() == 1 { "" } else { "s" };
    writeln!(output, "({} row{s})\n", rows.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[(&str, u32)], rows: &[&[Option<&str>]]) -> String {
        let mut body = (columns.len() as u16).to_be_bytes().to_vec();
        for (name, oid) in columns {
            body.extend_from_slice(name.as_bytes());
            body.extend_from_slice(b"\0\0\0\0\0\0\0");
            body.extend_from_slice(&oid.to_be_bytes());
            body.extend_from_slice(&[0; 8]);
        }
        let rows: Vec<Vec<Option<&[u8]>>> =
            rows.iter().map(|row| row.iter().map(|value| value.map(str::as_bytes)).collect()).collect();
        let mut text = Vec::new();
        print(&header(&body), &rows, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn numbers_stand_on_the_right_and_names_in_the_middle() {
        let text = table(&[("id", 23), ("a name", 25)], &[&[Some("1"), Some("x")], &[Some("1000"), None]]);
        assert_eq!(text, "  id  | a name \n------+--------\n    1 | x\n 1000 | \n(2 rows)\n\n");
        assert_eq!(table(&[("n", 20)], &[&[Some("1")]]), " n \n---\n 1\n(1 row)\n\n");
        assert_eq!(table(&[("n", 20)], &[]), " n \n---\n(0 rows)\n\n");
        assert_eq!(table(&[], &[&[]]), "--\n(1 row)\n\n");
    }

    #[test]
    fn wide_and_strange_characters() {
        let text = table(&[("t", 25), ("u", 25)], &[&[Some("日本"), Some("é\u{1}\r")], &[Some("a\tb"), Some("")]]);
        assert_eq!(
            text,
            "     t     |    u    \n-----------+---------\n 日本      | é\\x01\\r\n a       b | \n(2 rows)\n\n"
        );
    }

    #[test]
    fn cells_of_many_lines() {
        let text = table(&[("a\nb", 25), ("n", 23)], &[&[Some("one\ntwo"), Some("1")], &[Some("x"), Some("2\n3")]]);
        assert_eq!(text, "  a +| n \n  b  |   \n-----+---\n one+| 1\n two | \n x   | 2+\n     | 3\n(2 rows)\n\n");
    }
}
