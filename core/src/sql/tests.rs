use std::borrow::Cow;

use proptest::prelude::*;

use super::*;

use TokenKind::{
    DollarString, Number, Operator, Other, Parameter, QuotedIdentifier, String as Str,
    StringContinuation, Word,
};

fn lex(sql: &str) -> Vec<(TokenKind, &str)> {
    tokens(sql)
        .map(|token| token.map(|t| (t.kind, &sql[t.start..t.end])))
        .collect::<Result<_, _>>()
        .unwrap()
}

fn texts(sql: &str) -> Vec<&str> {
    lex(sql).into_iter().map(|(_, text)| text).collect()
}

fn error(sql: &str) -> LexError {
    tokens(sql).find_map(Result::err).unwrap()
}

#[test]
fn words_numbers_and_punctuation() {
    assert_eq!(
        lex("SELECT a$1, été(1.5) FROM t;"),
        [
            (Word, "SELECT"),
            (Word, "a$1"),
            (Other, ","),
            (Word, "été"),
            (Other, "("),
            (Number, "1.5"),
            (Other, ")"),
            (Word, "FROM"),
            (Word, "t"),
            (Other, ";"),
        ]
    );
}

#[test]
fn a_dollar_within_a_word_quotes_nothing() {
    assert_eq!(texts("a$1$ b"), ["a$1$", "b"]);
    assert_eq!(texts("foo$$bar"), ["foo$$bar"]);
}

#[test]
fn strings_of_every_kind() {
    for text in [
        "'it''s'",
        "'back\\'",
        "E'\\''",
        "e'a\\\\'",
        "B'01'",
        "x'1f'",
        "N'n'",
        "U&'\\0061'",
        "u&'x'",
        "''",
        "''''",
    ] {
        assert_eq!(lex(text), [(Str, text)], "{text}");
    }
    assert_eq!(texts("be'x'"), ["be", "'x'"]);
    assert_eq!(texts("U&5"), ["U", "&", "5"]);
}

#[test]
fn a_string_goes_on_after_a_line_break_only() {
    assert_eq!(lex("'a'\n'b'"), [(Str, "'a'"), (StringContinuation, "'b'")]);
    assert_eq!(
        lex("'a' -- c\n -- d\n 'b'"),
        [(Str, "'a'"), (StringContinuation, "'b'")]
    );
    assert_eq!(lex("'a' 'b'"), [(Str, "'a'"), (Str, "'b'")]);
    assert_eq!(lex("'a' /* x */\n'b'"), [(Str, "'a'"), (Str, "'b'")]);
    assert_eq!(lex("'a',\n'b'").last(), Some(&(Str, "'b'")));
    // The second segment of an E string is read with escapes, too.
    assert_eq!(texts("E'a'\n'\\'' x"), ["E'a'", "'\\''", "x"]);
}

#[test]
fn quoted_identifiers() {
    for text in ["\"a\"\"b\"", "U&\"d\\0061\"", "\"--\"", "\"'\""] {
        assert_eq!(lex(text), [(QuotedIdentifier, text)], "{text}");
    }
}

#[test]
fn dollar_quotes_are_opaque() {
    for text in [
        "$$it's -- \" /* $$",
        "$a$ $b$ $$ $a$",
        "$été$ x $été$",
        "$a1_$ $a$ $a1_$",
        "$$$$",
        "$delim$ $junk$delim$",
    ] {
        assert_eq!(lex(text), [(DollarString, text)], "{text}");
    }
    assert_eq!(lex("$1 $12"), [(Parameter, "$1"), (Parameter, "$12")]);
    assert_eq!(lex("$ a"), [(Other, "$"), (Word, "a")]);
    assert_eq!(lex("$a b"), [(Other, "$"), (Word, "a"), (Word, "b")]);
}

#[test]
fn numbers() {
    for text in [
        "1", "1.", ".5", "1.5e10", "1e+5", "1E-5", "0x1F", "0o17", "0b01", "1_000", "1_0.0_1",
        "123abc",
    ] {
        assert_eq!(lex(text), [(Number, text)], "{text}");
    }
    assert_eq!(texts("1..10"), ["1", "..", "10"]);
    assert_eq!(texts("1-2"), ["1", "-", "2"]);
    assert_eq!(texts("a.1"), ["a", ".1"]);
    assert_eq!(texts("1.e5"), ["1.e5"]);
}

#[test]
fn operators_end_as_the_server_ends_them() {
    for (sql, expected) in [
        ("a=-1", vec!["a", "=", "-", "1"]),
        ("a<=-1", vec!["a", "<=", "-", "1"]),
        ("a@-1", vec!["a", "@-", "1"]),
        ("a-+-b", vec!["a", "-", "+", "-", "b"]),
        ("a+--x\nb", vec!["a", "+", "b"]),
        ("a*/* x */b", vec!["a", "*", "b"]),
        ("a||-b", vec!["a", "||-", "b"]),
        ("a::b", vec!["a", "::", "b"]),
        ("a:=b=>c", vec!["a", ":=", "b", "=>", "c"]),
        ("a->>'b'", vec!["a", "->>", "'b'"]),
        ("x:y", vec!["x", ":", "y"]),
        ("@>/*c*/1", vec!["@>", "1"]),
    ] {
        assert_eq!(texts(sql), expected, "{sql}");
    }
    assert_eq!(lex("::")[0].0, Operator);
}

#[test]
fn comments_and_white_space_are_no_tokens() {
    assert!(lex("").is_empty());
    assert!(lex(" \t\r\n\x0b\x0c").is_empty());
    assert!(lex("-- a\r\n/* b /* c */ ' d */ --").is_empty());
    assert_eq!(texts("\u{feff}a"), ["a"]);
    assert_eq!(texts("a--b\rc"), ["a", "c"]);
    assert_eq!(texts("/*/ x */ y"), ["y"]);
}

#[test]
fn what_has_no_end_names_the_line_where_it_began() {
    for (sql, message, line) in [
        ("a\n'b\nc", "unterminated quoted string", 2),
        ("E'a\\'", "unterminated quoted string", 1),
        ("'a'\n\n'b", "unterminated quoted string", 3),
        ("\r\n\r\n\"a", "unterminated quoted identifier", 3),
        ("/* a /* b */", "unterminated comment", 1),
        (
            "a\rb $x$ c $y$",
            "unterminated dollar-quoted string, its tag is \"$x$\"",
            2,
        ),
        (
            "a\n\n \\copy t from x  \nb",
            "psql meta-command \"\\copy t from x\"",
            3,
        ),
        ("a\nb\0", "NUL byte", 2),
    ] {
        let error = error(sql);
        assert_eq!((error.to_string().as_str(), error.line()), (message, line));
        assert!(!error.hint().is_empty());
    }
}

#[test]
fn after_an_error_nothing_more_comes() {
    let mut lexer = tokens("a \\x b");
    assert!(lexer.next().unwrap().is_ok());
    assert!(lexer.next().unwrap().is_err());
    assert!(lexer.next().is_none());
}

#[test]
fn copy_data_has_a_hint_of_its_own() {
    assert!(
        error("COPY t FROM stdin;\n1\t\\N\n\\.\n")
            .hint()
            .contains("INSERT")
    );
    assert!(error("\\connect x").hint().contains("psql"));
}

#[test]
fn restrict_lines_are_blanked_in_place() {
    let dump = "--\n\\restrict abc\n\nSELECT 1;\r\n\\unrestrict abc\r\n";
    let blanked = blank_restrict_lines(dump);
    assert_eq!(blanked.len(), dump.len());
    assert_eq!(
        blanked,
        "--\n             \n\nSELECT 1;\r\n               \r\n"
    );
    assert_eq!(texts(&blanked), ["SELECT", "1", ";"]);
}

#[test]
fn restrict_is_left_alone_within_quotes_and_elsewhere() {
    for sql in [
        "SELECT '\n\\restrict a\n'",
        "$$\n\\restrict a\n$$",
        "/*\n\\restrict a\n*/",
        "SELECT 1 \\restrict a",
        "\\restricted a",
        "\\copy x\n\\restrict a",
        "SELECT 1",
    ] {
        assert!(
            matches!(blank_restrict_lines(sql), Cow::Borrowed(same) if same == sql),
            "{sql}"
        );
    }
}

#[test]
fn lines_are_counted_for_every_line_end() {
    let text = "a\nb\r\nc\rd";
    let lines: Vec<u32> = ["a", "b", "c", "d"]
        .map(|letter| line_of(text, text.find(letter).unwrap()))
        .into();
    assert_eq!(lines, [1, 2, 3, 4]);
    assert_eq!(line_of(text, 1000), 4);
}

proptest! {
    #[test]
    fn any_text_is_read_to_its_end_or_to_one_error(sql in "[a$1'\"\\-/*\n .E\\\\x=+:]{0,40}") {
        let mut last = 0;
        let mut errors = 0;
        for token in tokens(&sql) {
            match token {
                Ok(token) => {
                    prop_assert!(token.start >= last && token.end > token.start);
                    prop_assert!(sql.get(token.start..token.end).is_some());
                    last = token.end;
                }
                Err(error) => {
                    prop_assert!(error.line() as usize <= sql.lines().count().max(1));
                    errors += 1;
                }
            }
        }
        prop_assert!(errors <= 1);
        prop_assert_eq!(blank_restrict_lines(&sql).len(), sql.len());
    }
}
