//! Finds symbols in assembly, which LLVM does not look into.

/// The identifiers among the operands of assembly statements: what may be symbols. Mnemonics, labels, registers
/// (where they begin with `%`) and LLVM's operand placeholders (`$0`, `${1:c}`) are left out.
pub(crate) fn operands(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for line in text.split('\n') {
        for statement in line.split(';') {
            statement_operands(statement, &mut found);
        }
    }
    found
}

fn is_identifier(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$')
}

fn statement_operands<'a>(statement: &'a str, found: &mut Vec<&'a str>) {
    let bytes = statement.as_bytes();
    let mut at = 0;
    let mut mnemonic_seen = false;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += 1 + usize::from(bytes[at] == b'\\');
                }
                at += 1;
            }
            b'#' => return,
            b'%' | b'@' => {
                at += 1;
                while at < bytes.len() && is_identifier(bytes[at]) {
                    at += 1;
                }
            }
            b'$' if bytes.get(at + 1) == Some(&b'{') => {
                while at < bytes.len() && bytes[at] != b'}' {
                    at += 1;
                }
            }
            b'$' => at += 1,
            byte if is_identifier(byte) => {
                let start = at;
                while at < bytes.len() && is_identifier(bytes[at]) {
                    at += 1;
                }
                let word = &statement[start..at];
                let label = bytes.get(at) == Some(&b':');
                if label {
                    // A label defines a symbol that must not be one of the unit's either.
                    push(word, found);
                } else if mnemonic_seen {
                    push(word, found);
                } else {
                    mnemonic_seen = true;
                }
            }
            _ => at += 1,
        }
    }
}

fn push<'a>(word: &'a str, found: &mut Vec<&'a str>) {
    if !word.starts_with(|c: char| c.is_ascii_digit()) {
        found.push(word);
    }
}

/// Whether the constraint of each operand that has a value (inputs, and outputs through memory) wants a constant address.
/// In the order of a call's arguments.
pub(crate) fn wants_constant(constraints: &str) -> Vec<bool> {
    let mut result = Vec::new();
    for item in constraints.split(',') {
        let is_output = item.starts_with('=') || item.starts_with('+');
        let is_other = item.starts_with('~') || item.starts_with('!');
        if is_other || (is_output && !item.contains('*')) {
            continue;
        }
        let letters = item.trim_start_matches(['=', '+', '&', '*', '%']);
        // A register or memory among the alternatives will do.
        let any = |set: &str| letters.split('|').any(|alternative| alternative.chars().any(|c| set.contains(c)));
        let register = letters.starts_with('{') || letters.starts_with(|c: char| c.is_ascii_digit());
        result.push(!register && any("isnX") && !any("rmogpVQRqabcdSDA"));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_are_symbols_and_mnemonics_are_not() {
        assert_eq!(operands("lock; cmpxchgl $1,$2"), Vec::<&str>::new());
        assert_eq!(operands("incl counter(%rip)"), ["counter"]);
        assert_eq!(operands("movq $$table, %rax\n\tjmp *8(%rax)"), ["table"]);
        assert_eq!(operands(".globl start\nstart: nop # lock here"), ["start", "start"]);
        assert_eq!(operands(".ascii \"counter \\\" x\"; .quad counter"), ["counter"]);
        assert_eq!(operands("${0:c} $1 b 1f"), ["b"]);
        assert_eq!(operands("rep; movsb"), Vec::<&str>::new());
    }

    #[test]
    fn constraints_line_up_with_arguments() {
        assert_eq!(wants_constant("=r,r,i,~{memory}"), [false, true]);
        assert_eq!(wants_constant("=*m,*m,~{dirflag}"), [false, false]);
        assert_eq!(wants_constant("=&r,0,rim,s"), [false, false, true]);
        assert_eq!(wants_constant("={ax},{cx},imr"), [false, false]);
    }
}
