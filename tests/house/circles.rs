//! Which files of a room import which, and whether they do so in a circle.
//!
//! A name is followed through the doors that hand it on to the file that defines it. So two files are in a circle if a reader
//! of either needs the other, however they name each other. Methods are not seen: that a file implements some of a type's
//! methods is no import of it by the type.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Token, behind, expand};

/// A module as a path from the crate root, or a path to an item.
type Path = Vec<String>;

/// A file as the checks see it.
struct File {
    name: String,
    module: Path,
    /// What names stand for that it imports or hands on.
    names: BTreeMap<String, Path>,
    /// Paths that it names, from the crate root.
    named: Vec<Path>,
}

/// The circles among files, each once, as `a → b → a`; the tokens are those without tests.
pub(crate) fn circles(files: &[(String, Vec<Token<'_>>)]) -> Vec<String> {
    let modules: BTreeMap<Path, usize> =
        files.iter().enumerate().map(|(at, (name, _))| (module_of(name), at)).collect();
    let files: Vec<File> = files.iter().map(|(name, tokens)| read(name, tokens, &modules)).collect();
    let imports: Vec<BTreeSet<usize>> = files
        .iter()
        .enumerate()
        .map(|(at, file)| {
            let targets = file.named.iter().filter_map(|path| defines(&files, &modules, path, 0));
            targets.filter(|to| *to != at && files[*to].module.first() == file.module.first()).collect()
        })
        .collect();
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    for start in 0..files.len() {
        if seen.contains(&start) {
            continue;
        }
        if let Some(circle) = way_back(&imports, start) {
            seen.extend(circle.iter().copied());
            let names: Vec<&str> = circle.iter().chain([&start]).map(|at| files[*at].name.as_str()).collect();
            found.push(names.join(" → "));
        }
    }
    found
}

fn module_of(name: &str) -> Path {
    name.trim_end_matches(".rs").trim_end_matches("/mod").split('/').map(str::to_owned).collect()
}

/// The shortest way from a file back to itself.
fn way_back(imports: &[BTreeSet<usize>], start: usize) -> Option<Vec<usize>> {
    let (mut ways, mut seen) = (vec![vec![start]], BTreeSet::new());
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for to in &imports[*way.last()?] {
                if *to == start {
                    return Some(way);
                }
                if seen.insert(*to) {
                    longer.push(way.iter().copied().chain([*to]).collect());
                }
            }
        }
        ways = longer;
    }
    None
}

/// The file that defines what a path names; `None` for a module, and for what is of another crate.
fn defines(files: &[File], modules: &BTreeMap<Path, usize>, path: &[String], depth: usize) -> Option<usize> {
    let module = (1..=path.len()).rev().find(|len| modules.contains_key(&path[..*len]))?;
    let (at, item) = (modules[&path[..module]], path.get(module)?);
    match files[at].names.get(item) {
        // Imports that lead nowhere are of other crates.
        Some(handed_on) if depth < 8 => {
            let whole: Path = handed_on.iter().chain(&path[module + 1..]).cloned().collect();
            defines(files, modules, &whole, depth + 1)
        }
        _ => Some(at),
    }
}

fn read(name: &str, tokens: &[Token<'_>], modules: &BTreeMap<Path, usize>) -> File {
    let module = module_of(name);
    let (mut names, mut named) = (BTreeMap::new(), Vec::new());
    let mut inner_ends: Vec<usize> = Vec::new();
    let mut import = None;
    let mut skip = 0;
    for (at, token) in tokens.iter().enumerate() {
        let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
        inner_ends.retain(|end| *end > at);
        if token.text == "{" && at >= 2 && text(at - 2) == "mod" {
            inner_ends.push(behind(tokens, at));
        }
        match token.text {
            "use" => import = Some(at > 0 && matches!(text(at - 1), "pub" | ")")),
            ";" => import = None,
            // Under another name; the import itself was read where it starts.
            "as" if import.is_some() => {
                if let Some(path) = names.get(text(at - 1)).cloned() {
                    names.insert(text(at + 1).to_owned(), path);
                }
            }
            _ => {}
        }
        let starts = token.is_word() && text(at + 1) == "::" && (at == 0 || !matches!(text(at - 1), "::" | "in"));
        if !starts || at < skip {
            continue;
        }
        let mut paths = Vec::new();
        let end = expand(tokens, at, &mut Vec::new(), &mut paths);
        for path in paths {
            let Some(path) = absolute(path, token.text, &module, inner_ends.len(), import.is_some(), modules) else {
                continue;
            };
            match (import, path.last()) {
                (Some(public), Some(last)) => {
                    // What a door hands on is no import of its own, unless it uses it as well.
                    if !public || is_used(tokens, last) {
                        named.push(path.clone());
                    }
                    names.insert(last.clone(), path);
                }
                _ => named.push(path),
            }
        }
        if import.is_some() {
            skip = end;
        }
    }
    // A path in code may start with a name that is imported.
    let through_names = named.iter().filter_map(|path: &Path| {
        let (head, rest) = path.split_first()?;
        if head != "?" {
            return None;
        }
        let (name, rest) = rest.split_first()?;
        let start: &Path = names.get(name)?;
        Some(start.iter().chain(rest).cloned().collect())
    });
    let mut found: Vec<Path> = through_names.collect();
    found.extend(named.iter().filter(|path| path.first().is_some_and(|head| head != "?")).cloned());
    File { name: name.to_owned(), module, names, named: found }
}

/// Whether a name occurs in code, rather than in imports and declarations of modules alone.
fn is_used(tokens: &[Token<'_>], name: &str) -> bool {
    let mut is_import = false;
    tokens.iter().enumerate().any(|(at, token)| {
        is_import = token.text == "use" || is_import && token.text != ";";
        !is_import && token.text == name && (at == 0 || tokens[at - 1].text != "mod")
    })
}

/// A path as it goes from the crate root. One in code that starts with some name gets `?` in front: it may be imported.
fn absolute(
    path: Path,
    first: &str,
    module: &[String],
    depth: usize,
    is_import: bool,
    modules: &BTreeMap<Path, usize>,
) -> Option<Path> {
    let join = |start: &[String], rest: &[String]| Some(start.iter().chain(rest).cloned().collect());
    match first {
        "crate" => Some(path[1..].to_vec()),
        // `self` is left out of paths already.
        "self" => join(module, &path),
        "super" => {
            let up = path.iter().take_while(|segment| *segment == "super").count();
            let parent = module.len().checked_sub(up.saturating_sub(depth))?;
            join(&module[..parent], &path[up..])
        }
        _ => {
            let child: Path = module.iter().chain(path.first()).cloned().collect();
            if modules.contains_key(&child) {
                join(module, &path)
            } else if is_import {
                None
            } else {
                join(&["?".to_owned()], &path)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{tokens, without_tests};

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let files = files.iter().map(|(name, source)| ((*name).to_owned(), without_tests(&tokens(source))));
        circles(&files.collect::<Vec<_>>())
    }

    #[test]
    fn circles_are_reported() {
        let door =
            ("room/mod.rs", "mod a; mod b; mod c; pub(crate) use a::A; pub use self::b::{B, again}; pub struct D;");
        let b = ("room/b.rs", "use super::a::A; pub struct B; pub fn again() {}");
        for a in [
            "use super::b::B; pub(crate) struct A;",
            "use super::B;",
            "use super::{B as Other, D};",
            "use super::*; use super::b::*;",
            "use crate::room::B;",
            "use crate::{ident::Address, room::{D, b::B}};",
            "fn f(b: &super::B) {}",
            "fn f() { super::b::again() }",
            "fn f() { crate::room::again() }",
            "use super::b; fn f(b: &b::B) {}",
            "use super::b as other; fn f(b: &other::B) {}",
            "mod inner { use super::super::B; }",
            "mod inner { fn f() {} } use self::inner::f; use super::B;",
            "#[cfg(not(test))] use super::B;",
        ] {
            let files = [door, ("room/a.rs", a), b];
            assert_eq!(found(&files), ["room/a.rs → room/b.rs → room/a.rs"], "{a}");
        }
        let three =
            [door, ("room/a.rs", "use super::B;"), ("room/b.rs", "use super::c::C;"), ("room/c.rs", "use super::A;")];
        assert_eq!(found(&three), ["room/a.rs → room/b.rs → room/c.rs → room/a.rs"]);
        // A door that uses what it hands on, and one within the room.
        let door = ("room/mod.rs", "mod a; pub use a::A; pub struct D(A);");
        assert_eq!(found(&[door, ("room/a.rs", "use super::D;")]), ["room/mod.rs → room/a.rs → room/mod.rs"]);
        let door = ("room/mod.rs", "mod a; mod inner; pub use inner::B; use a::A;");
        let inner = ("room/inner/mod.rs", "mod b; pub use b::B;");
        let files = [door, inner, ("room/a.rs", "use super::B;"), ("room/inner/b.rs", "use crate::room::A;")];
        assert_eq!(found(&files), ["room/a.rs → room/inner/b.rs → room/a.rs"]);
    }

    #[test]
    fn what_is_no_circle() {
        let door = ("room/mod.rs", "mod a; mod b; pub(crate) use a::A; pub use self::b::B; pub struct D;");
        let b = ("room/b.rs", "use super::a::A; pub struct B;");
        for a in [
            "use super::D; pub(in crate::room) struct A; pub(super) fn f() {}",
            "#[cfg(test)] mod tests { use super::super::B; }",
            "use crate::other::B; use alloc::vec::Vec; fn f(v: Vec<u8>) -> B {}",
            "mod inner { use super::A; } struct A;",
            "// use super::B;",
        ] {
            assert_eq!(found(&[door, ("room/a.rs", a), b]), Vec::<String>::new(), "{a}");
        }
    }
}
