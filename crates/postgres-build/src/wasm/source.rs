//! What the glue relies on in PostgreSQL's source, checked: a newer minor release that differs there is noticed, and not built wrong.

use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Checks that the names stand where `crates/wasi-guest/glue/postgres.c` expects them.
pub(super) fn check(source: &Path) -> Result<()> {
    let path = source.join("src/backend/tcop/postgres.c");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    check_main(&text).with_context(|| format!("{} is not as the glue expects it", path.display()))
}

fn check_main(text: &str) -> Result<()> {
    let once = |name: &str| -> Result<usize> {
        let mut found = text.match_indices(name);
        let (at, _) = found.next().with_context(|| format!("there is no {name}"))?;
        ensure!(found.next().is_none(), "there is more than one {name}");
        Ok(at)
    };
    let body = once("\nPostgresMain(const char *dbname, const char *username)\n{")?;
    let first = once("InitializeTimeouts();")?;
    let last = once("EventTriggerOnLogin();")?;
    let jump = once("if (sigsetjmp(local_sigjmp_buf, 1) != 0)")?;
    let ready = once("ReadyForQuery(whereToSendOutput);")?;
    let read = once("firstchar = ReadCommand(&input_message);")?;
    ensure!([body, first, last, jump, ready, read].is_sorted(), "the parts of PostgresMain stand in another order");
    let behind = &text[last..jump];
    let (_, behind) = behind.split_once(';').unwrap_or_default();
    ensure!(is_comment(behind), "something is done between EventTriggerOnLogin and sigsetjmp");
    let start = once("pq_startmsgread();")?;
    let hold = text[..start].trim_end().ends_with("HOLD_CANCEL_INTERRUPTS();");
    ensure!(hold, "SocketBackend does not hold interrupts back just before pq_startmsgread");
    Ok(())
}

/// Whether there is nothing but white space and comments.
fn is_comment(text: &str) -> bool {
    let mut rest = text.trim();
    while let Some(comment) = rest.strip_prefix("/*") {
        match comment.split_once("*/") {
            Some((_, behind)) => rest = behind.trim(),
            None => return false,
        }
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: &str = "
	HOLD_CANCEL_INTERRUPTS();
	pq_startmsgread();
void
PostgresMain(const char *dbname, const char *username)
{
		InitializeTimeouts();	/* establishes SIGALRM handler */
	/* Fire any */
	EventTriggerOnLogin();

	/*
	 * loop
	 */
	if (sigsetjmp(local_sigjmp_buf, 1) != 0)
			ReadyForQuery(whereToSendOutput);
		firstchar = ReadCommand(&input_message);
";

    #[test]
    fn what_the_glue_expects() {
        check_main(MAIN).unwrap();
        for (from, to) in [
            ("EventTriggerOnLogin();\n", "EventTriggerOnLogin();\n	something();\n"),
            ("InitializeTimeouts();", ""),
            ("	pq_startmsgread();", "	f();\n	pq_startmsgread();"),
            (
                "ReadyForQuery(whereToSendOutput);",
                "ReadyForQuery(whereToSendOutput); ReadyForQuery(whereToSendOutput);",
            ),
        ] {
            assert!(check_main(&MAIN.replace(from, to)).is_err(), "{from}");
        }
    }
}
