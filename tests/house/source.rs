//! Rust source as far as the house rules need it: tokens without comments and strings, test code taken out, paths.

use std::collections::BTreeSet;

/// A word, `::`, or any other single character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    pub(crate) line: usize,
}

impl Token<'_> {
    pub(crate) fn is_word(self) -> bool {
        self.text.starts_with(|c: char| c.is_alphanumeric() || c == '_')
    }
}

/// Splits source into tokens; comments and the insides of literals are gone.
pub(crate) fn tokens(source: &str) -> Vec<Token<'_>> {
    let (mut found, mut rest, mut line) = (Vec::new(), source, 1);
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let (length, keep) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), false)
        } else if rest.starts_with("/*") {
            (block_comment(rest), false)
        } else if let Some(length) = raw_string(rest) {
            (length, false)
        } else if first == '"' {
            (quoted(rest, '"'), false)
        } else if first == '\'' {
            // A lifetime has no second quote after its first letter.
            let is_char = rest[1..].starts_with('\\') || rest.chars().nth(2) == Some('\'');
            (if is_char { quoted(rest, '\'') } else { 1 }, false)
        } else if is_word(first) {
            (rest.find(|c| !is_word(c)).unwrap_or(rest.len()), true)
        } else if rest.starts_with("::") {
            (2, true)
        } else {
            (first.len_utf8(), !first.is_whitespace())
        };
        let (text, tail) = rest.split_at(length);
        if keep {
            found.push(Token { text, line });
        }
        line += text.matches('\n').count();
        rest = tail;
    }
    found
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let tail = &rest.as_bytes()[at..];
        if tail.starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if tail.starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at
}

fn raw_string(rest: &str) -> Option<usize> {
    let hashes = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let body = hashes.trim_start_matches('#');
    let end = format!("\"{}", "#".repeat(hashes.len() - body.len()));
    let length = body.strip_prefix('"')?.find(&end)?;
    Some(rest.len() - body.len() + 1 + length + end.len())
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Index behind the bracket that closes the one at `open`.
pub(crate) fn behind(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

fn texts_are(tokens: &[Token<'_>], texts: &[&str]) -> bool {
    tokens.len() >= texts.len() && tokens.iter().zip(texts).all(|(token, text)| token.text == *text)
}

fn starts_test_item(tokens: &[Token<'_>]) -> bool {
    texts_are(tokens, &["#", "[", "cfg", "(", "test", ")", "]"])
        || texts_are(tokens, &["#", "[", "cfg", "(", "all", "(", "test", ","])
}

/// Index behind the item, field or statement that starts at `start`, attributes included.
fn behind_item(tokens: &[Token<'_>], start: usize) -> usize {
    let mut at = start;
    while texts_are(&tokens[at..], &["#", "["]) {
        at = behind(tokens, at + 1);
    }
    // A field or an arm ends at a comma; in an item, commas are those of generics.
    const ITEMS: [&str; 14] = [
        "async",
        "const",
        "enum",
        "extern",
        "fn",
        "impl",
        "let",
        "macro_rules",
        "mod",
        "static",
        "struct",
        "trait",
        "type",
        "use",
    ];
    let mut head = at;
    if tokens.get(head).is_some_and(|token| token.text == "pub") {
        head += 1;
        if tokens.get(head).is_some_and(|token| token.text == "(") {
            head = behind(tokens, head);
        }
    }
    let is_item = tokens.get(head).is_some_and(|token| ITEMS.contains(&token.text));
    while let Some(token) = tokens.get(at) {
        match token.text {
            ";" => return at + 1,
            "," if !is_item => return at + 1,
            "{" => return behind(tokens, at),
            "(" | "[" => at = behind(tokens, at),
            ")" | "]" | "}" => return at,
            _ => at += 1,
        }
    }
    at
}

/// The tokens without whatever stands under `#[cfg(test)]`.
pub(crate) fn without_tests<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let (mut kept, mut at) = (Vec::new(), 0);
    while let Some(token) = tokens.get(at) {
        if starts_test_item(&tokens[at..]) {
            at = behind_item(tokens, at);
        } else {
            kept.push(*token);
            at += 1;
        }
    }
    kept
}

/// The modules, as paths without `.rs`, that this file declares under `#[cfg(test)]` and that are files of their own.
pub(crate) fn test_files(file: &str, tokens: &[Token<'_>]) -> Vec<String> {
    let folder = file.strip_suffix("lib.rs").or_else(|| file.strip_suffix("mod.rs"));
    let folder = folder.map_or_else(|| format!("{}/", file.trim_end_matches(".rs")), str::to_owned);
    let mut found = Vec::new();
    for at in (0..tokens.len()).filter(|at| starts_test_item(&tokens[*at..])) {
        let item = &tokens[at..behind_item(tokens, at)];
        if let [.., module, name, end] = item
            && module.text == "mod"
            && end.text == ";"
        {
            found.push(format!("{folder}{}", name.text));
        }
    }
    found
}

/// Lines of the code in front of the tests that stand in the same file, and lines of these.
pub(crate) fn lines_of_tests(tokens: &[Token<'_>]) -> Option<(usize, usize)> {
    (0..tokens.len()).filter(|at| starts_test_item(&tokens[*at..])).find_map(|at| {
        let item = &tokens[at..behind_item(tokens, at)];
        let is_module = item.windows(3).any(|window| window[0].text == "mod" && window[2].text == "{");
        let (first, last) = (item.first()?.line, item.last()?.line);
        is_module.then_some((first - 1, last + 1 - first))
    })
}

/// Modules that others may enter: `pub mod` and `pub(crate) mod`.
pub(crate) fn open_modules(tokens: &[Token<'_>]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for at in 0..tokens.len() {
        let tail = &tokens[at..];
        let name = if texts_are(tail, &["pub", "mod"]) {
            tail.get(2)
        } else if texts_are(tail, &["pub", "(", "crate", ")", "mod"]) {
            tail.get(5)
        } else {
            None
        };
        found.extend(name.map(|name| name.text.to_owned()));
    }
    found
}

/// The attributes that stand right before `at`.
pub(crate) fn attributes_before<'t, 'a>(tokens: &'t [Token<'a>], at: usize) -> &'t [Token<'a>] {
    let mut start = at;
    while start > 0 && tokens[start - 1].text == "]" {
        let attribute = (0..start).rev().find(|open| tokens[*open].text == "#" && behind(tokens, open + 1) == start);
        let Some(attribute) = attribute else { break };
        start = attribute;
    }
    &tokens[start..at]
}

/// Every path that starts at the crate root, braces expanded, with its line. `crate::*`, `crate::{self}` and a bare
/// `crate` are empty paths.
pub(crate) fn crate_paths(tokens: &[Token<'_>]) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate().filter(|(_, token)| token.text == "crate") {
        let before = at.checked_sub(1).map_or("", |before| tokens[before].text);
        let after = tokens.get(at + 1).map_or("", |after| after.text);
        if after == "::" {
            let mut paths = Vec::new();
            expand(tokens, at + 2, &mut Vec::new(), &mut paths);
            found.extend(paths.into_iter().map(|path| (token.line, path)));
        } else if before != "extern" && !(before == "(" && after == ")") {
            found.push((token.line, Vec::new()));
        }
    }
    found
}

/// Reads a path or a tree of paths at `at`, and gives the index behind it.
pub(crate) fn expand(
    tokens: &[Token<'_>],
    mut at: usize,
    path: &mut Vec<String>,
    found: &mut Vec<Vec<String>>,
) -> usize {
    let depth = path.len();
    while let Some(token) = tokens.get(at) {
        if token.text == "{" {
            let end = behind(tokens, at);
            at += 1;
            while at + 1 < end {
                at = expand(tokens, at, path, found);
                // Over `as name` and the comma.
                while at + 1 < end && tokens[at].text != "," {
                    at += 1;
                }
                at += 1;
            }
            path.truncate(depth);
            return end;
        }
        if token.text == "*" {
            // A glob takes in items of the module: as deep as one of them.
            if !path.is_empty() {
                path.push("*".to_owned());
            }
            at += 1;
            break;
        }
        if !token.is_word() {
            break;
        }
        if token.text != "self" {
            path.push(token.text.to_owned());
        }
        at += 1;
        if tokens.get(at).is_none_or(|next| next.text != "::") {
            break;
        }
        at += 1;
    }
    found.push(path.clone());
    path.truncate(depth);
    at
}

/// `super::super`, and in a room's `mod.rs` any `super`: it would go through the crate root.
pub(crate) fn faults_of_super(tokens: &[Token<'_>], is_door: bool) -> Vec<(usize, &'static str)> {
    let (mut found, mut inner_ends) = (Vec::new(), Vec::new());
    for (at, token) in tokens.iter().enumerate() {
        inner_ends.retain(|end| *end > at);
        if token.text == "{" && at >= 2 && tokens[at - 2].text == "mod" {
            inner_ends.push(behind(tokens, at));
        }
        if token.text != "super" || tokens.get(at + 1).is_none_or(|next| next.text != "::") {
            continue;
        }
        let doubled = match tokens.get(at + 2).map_or("", |next| next.text) {
            "super" => true,
            "{" => tokens[at + 2..behind(tokens, at + 2)].iter().any(|token| token.text == "super"),
            _ => false,
        };
        if doubled {
            found.push((token.line, "super::super"));
        }
        if is_door && inner_ends.is_empty() {
            found.push((token.line, "goes through the crate root"));
        }
    }
    found
}

/// Where a path, a `use` or an `extern crate` starts with one of these crates.
pub(crate) fn named_crates<'a>(tokens: &[Token<'a>], names: &BTreeSet<String>) -> Vec<(usize, &'a str)> {
    const KEYWORDS: [&str; 12] =
        ["use", "as", "dyn", "impl", "in", "mut", "return", "pub", "else", "where", "for", "const"];
    let mut found = Vec::new();
    let mut inside_use = false;
    for (at, token) in tokens.iter().enumerate() {
        let text = |back: usize| at.checked_sub(back).map_or("", |before| tokens[before].text);
        match token.text {
            "use" => inside_use = true,
            ";" => inside_use = false,
            _ => {}
        }
        if !names.contains(token.text) {
            continue;
        }
        // `::name` at the start of a path still starts it.
        let mut back = 1;
        if text(1) == "::" {
            let owner = at.checked_sub(2).map(|before| tokens[before]);
            if owner.is_some_and(|owner| owner.text == ">" || owner.is_word() && !KEYWORDS.contains(&owner.text)) {
                continue;
            }
            back = 2;
        }
        let next = tokens.get(at + 1).map_or("", |next| next.text);
        // In a path, what follows a crate is a name; `name::<` is a function's type arguments.
        let is_path = next == "::" && tokens.get(at + 2).is_some_and(|next| next.text != "<");
        let is_import = inside_use && (text(back) == "use" || opens_use(tokens, at));
        if is_import || is_path && !inside_use || (text(2), text(1)) == ("extern", "crate") {
            found.push((token.line, token.text));
        }
    }
    found
}

/// Whether the word at `at` stands first in an element of a `use {…}` that has nothing before its brace.
fn opens_use(tokens: &[Token<'_>], at: usize) -> bool {
    if !matches!(tokens[at - 1].text, "{" | "," | "::") {
        return false;
    }
    let mut depth = 0;
    for back in (0..at).rev() {
        match tokens[back].text {
            "}" => depth += 1,
            "{" if depth > 0 => depth -= 1,
            "{" => return back > 0 && tokens[back - 1].text == "use",
            _ => {}
        }
    }
    false
}
