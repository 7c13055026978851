//! The reference of a header as a page of HTML, and the names of its functions.

/// The names of the functions that a header declares.
pub(crate) fn functions(header: &str) -> Vec<String> {
    let declares =
        |line: &&str| line.contains('(') && !line.starts_with([' ', '/', '#', '}']) && !line.starts_with("typedef");
    let name = |line: &str| line.split('(').next()?.rsplit([' ', '*']).next().map(str::to_owned);
    header.lines().filter(declares).filter_map(name).filter(|name| !name.is_empty()).collect()
}

/// A page: each declaration below what its comment says.
pub(crate) fn html(name: &str, header: &str) -> String {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{name}</title>\n\
         <style>body{{max-width:50em;margin:2em auto;padding:0 1em;font-family:sans-serif;line-height:1.4}}\
         pre{{background:#f4f4f4;padding:.6em;overflow:auto}}</style></head>\n<body><h1>{name}</h1>\n"
    );
    for block in header.split("\n\n") {
        let (comment, code) = split(block);
        // What only the preprocessor wants to know.
        if code.lines().any(|line| line.starts_with(['#', '}']) && !line.starts_with("#define "))
            && !code.contains("typedef")
        {
            continue;
        }
        for text in comment {
            page += &format!("<p>{}</p>\n", escape(&text));
        }
        if !code.trim().is_empty() {
            page += &format!("<pre>{}</pre>\n", escape(code.trim()));
        }
    }
    page + "</body></html>\n"
}

/// The paragraphs of the comment that a block begins with, and the rest.
fn split(block: &str) -> (Vec<String>, &str) {
    let Some((comment, code)) = block.trim_start().strip_prefix("/*").and_then(|rest| rest.split_once("*/")) else {
        return (Vec::new(), block);
    };
    let mut paragraphs = vec![String::new()];
    for line in comment.lines() {
        let line = line.trim().trim_start_matches('*').trim();
        let last = paragraphs.last_mut().expect("it begins with one");
        if line.is_empty() {
            if !last.is_empty() {
                paragraphs.push(String::new());
            }
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(line);
        }
    }
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    (paragraphs, code)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "/*\n * About.\n */\n\n#ifndef X\n#define X\n\n/**\n * Opens\n * it.\n *\n * Or not.\n */\nint x_open(const char *name, a **b);\n\nvoid *x_get(void);\n\ntypedef int (*call)(int);\n\n#endif\n";

    #[test]
    fn functions_are_found() {
        assert_eq!(functions(HEADER), ["x_open", "x_get"]);
    }

    #[test]
    fn the_page_has_comments_and_declarations() {
        let page = html("x.h", HEADER);
        assert!(page.contains("<p>About.</p>"));
        assert!(
            page.contains("<p>Opens it.</p>\n<p>Or not.</p>\n<pre>int x_open(const char *name, a **b);</pre>"),
            "{page}"
        );
        assert!(!page.contains("#ifndef"));
    }
}
