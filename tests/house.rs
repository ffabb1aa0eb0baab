//! The house rules that a machine can keep, kept by reading the source: rooms look down and through doors, files of a room
//! import each other in no circle, only `crypto` names cryptography, files and folders stay small, errors stay open, one
//! version of each crate; and the table of rooms in CONTRIBUTING.md is true.
//!
//! Each checker is also given made-up bad sources and has to report every one of them.

#![allow(clippy::disallowed_methods, reason = "a test reads files")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "house/circles.rs"]
mod circles;
#[path = "house/plan.rs"]
mod plan;
#[path = "house/source.rs"]
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use source::{Token, crate_paths, named_crates, test_files, tokens, without_tests};

/// Folder and number of each room; a room looks only at lower numbers.
const ROOMS: [(&str, u8); 21] = [
    ("crypto", 0),
    ("ident", 1),
    ("wire", 2),
    ("suite", 3),
    ("prekey", 4),
    ("handshake", 5),
    ("ratchet", 6),
    ("session", 7),
    ("account", 8),
    ("group", 9),
    ("sealed", 10),
    ("attachment", 10),
    ("call", 10),
    ("report", 11),
    ("persist", 12),
    ("staging", 13),
    ("rows", 14),
    ("client", 15),
    ("platform", 15),
    ("sqlite", 16),
    ("testing", 16),
];

/// Whether a room may name a dependency. What is not listed is cryptography and belongs to `crypto` alone.
fn may_name(room: &str, dependency: &str) -> bool {
    match dependency {
        // Names and decoders draw nothing.
        "rand_core" => room != "wire",
        "zeroize" => room != "ident",
        "prost" => room == "wire",
        "thiserror" => true,
        "rusqlite" => room == "sqlite",
        _ => room == "crypto",
    }
}

const MAX_LINES: usize = 500;

/// Most files of one folder besides its door and those of tests: a dozen.
const MAX_FILES: usize = 12;

fn number(room: &str) -> Option<u8> {
    ROOMS.iter().find(|(name, _)| *name == room).map(|(_, number)| *number)
}

/// What of the repository the checks need besides the file they look at.
struct House {
    /// Modules that a room's `mod.rs` shows to others.
    doors: BTreeMap<String, BTreeSet<String>>,
    /// Normal dependencies, as paths name them.
    dependencies: BTreeSet<String>,
}

/// The list of rooms, and the pages of the guide.
fn has_no_code(file: &str) -> bool {
    matches!(file, "lib.rs" | "guide/mod.rs")
}

impl House {
    fn read() -> Self {
        let doors = ROOMS.iter().map(|(room, _)| {
            let source = fs::read_to_string(root().join("src").join(room).join("mod.rs")).unwrap_or_default();
            ((*room).to_owned(), source::open_modules(&without_tests(&tokens(&source))))
        });
        let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
        Self { doors: doors.collect(), dependencies: dependencies(&manifest) }
    }

    /// Everything that is wrong with a file of a room; the path is relative to `src`.
    fn violations(&self, file: &str, source: &str) -> Vec<String> {
        let tokens = without_tests(&tokens(source));
        let mut found = Vec::new();
        let Some((room, number)) = file.split_once('/').and_then(|(room, _)| Some((room, number(room)?))) else {
            return vec![format!("{file}: is in no room")];
        };
        for (line, path) in crate_paths(&tokens) {
            if let Some(fault) = self.fault_of_path(room, number, &path) {
                found.push(format!("{file}:{line}: crate::{}: {fault}", path.join("::")));
            }
        }
        for (line, fault) in
            source::faults_of_super(&tokens, file.matches('/').count() == 1 && file.ends_with("mod.rs"))
        {
            found.push(format!("{file}:{line}: {fault}"));
        }
        for (line, name) in named_crates(&tokens, &self.dependencies) {
            if !may_name(room, name) {
                found.push(format!("{file}:{line}: this room may not name {name}"));
            }
        }
        if source::lines_of_tests(&self::tokens(source)).is_some_and(|(code, tests)| tests > code) {
            found.push(format!("{file}: tests that are longer than what they test belong beside it"));
        }
        found.extend(unfinished(&tokens).into_iter().map(|(line, fault)| format!("{file}:{line}: {fault}")));
        found.extend(closed_errors(&tokens).into_iter().map(|(line, name)| format!("{file}:{line}: {name} is closed")));
        found
    }

    /// What is wrong with `crate::path` in this room.
    fn fault_of_path(&self, room: &str, own: u8, path: &[String]) -> Option<&'static str> {
        let Some(target) = path.first() else { return Some("names the crate root") };
        let Some(theirs) = number(target) else { return Some("names no room") };
        if target == room {
            return None;
        }
        if theirs >= own {
            return Some("looks up");
        }
        // Types and constants end a path through modules: what follows them belongs to the item.
        let modules = path[1..].iter().take_while(|segment| segment.starts_with(|c: char| c.is_ascii_lowercase()));
        let modules: Vec<_> = modules.collect();
        let has_item = path.len() > 1 + modules.len();
        let inner = modules.len() - usize::from(!has_item && !modules.is_empty());
        let open = |module: &str| self.doors.get(target).is_some_and(|doors| doors.contains(module));
        match inner {
            0 => None,
            1 if open(modules[0]) => None,
            _ => Some("goes around the door"),
        }
    }
}

/// The names under `[dependencies]` of a manifest, and under those of single targets, as paths name them.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let sections = manifest.split("\n[").filter(|section| {
        let heading = section.lines().next().unwrap_or_default();
        heading == "dependencies]" || (heading.starts_with("target.") && heading.ends_with(".dependencies]"))
    });
    let lines = sections.flat_map(|section| section.lines().skip(1)).filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| Some(line.split_once('=')?.0.trim().replace('-', "_"))).collect()
}

fn unfinished(tokens: &[Token<'_>]) -> Vec<(usize, String)> {
    let pairs =
        tokens.windows(2).filter(|pair| matches!(pair[0].text, "todo" | "unimplemented") && pair[1].text == "!");
    pairs.map(|pair| (pair[0].line, format!("{}!", pair[0].text))).collect()
}

/// Public error enums to which no variant could be added.
fn closed_errors<'a>(tokens: &[Token<'a>]) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    for (at, window) in tokens.windows(3).enumerate() {
        let [public, kind, name] = [window[0].text, window[1].text, window[2].text];
        if public == "pub" && kind == "enum" && name.ends_with("Error") {
            let attributes = source::attributes_before(tokens, at);
            if !attributes.iter().any(|token| token.text == "non_exhaustive") {
                found.push((window[2].line, name));
            }
        }
    }
    found
}

/// Crates that stand in two versions in the output of `cargo tree --prefix none`.
fn doubled(tree: &str) -> Vec<String> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in tree.lines() {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            versions.entry(name).or_default().insert(version);
        }
    }
    // Derive macros run at build time, and their ecosystem is between two versions of it.
    let doubled = versions.into_iter().filter(|(name, versions)| *name != "syn" && versions.len() > 1);
    doubled.map(|(name, versions)| format!("{name}: {versions:?}")).collect()
}

/// What is too large: files by their lines, folders by their files. Tests may be in larger folders.
fn too_large<'a>(files: impl Iterator<Item = (&'a str, usize, bool)>) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), BTreeMap::<&str, usize>::new());
    for (name, lines, is_test) in files {
        if lines > MAX_LINES {
            found.push(format!("{name}: more than {MAX_LINES} lines"));
        }
        if let Some((folder, file)) = name.rsplit_once('/')
            && file != "mod.rs"
            && !is_test
        {
            *folders.entry(folder).or_default() += 1;
        }
    }
    let crowded = folders.into_iter().filter(|(_, count)| *count > MAX_FILES);
    found.extend(crowded.map(|(folder, count)| format!("{folder}: {count} files, more than {MAX_FILES}")));
    found
}

/// The rooms of these files, by what they import.
fn plan_of(files: &[(String, Vec<Token<'_>>)]) -> plan::Plan {
    let mut found = plan::Plan::new();
    for (name, tokens) in files {
        let Some((room, number)) = name.split_once('/').and_then(|(room, _)| Some((room, number(room)?))) else {
            continue;
        };
        let imports = crate_paths(tokens).into_iter().filter_map(|(_, path)| path.first().cloned());
        let imports = imports.filter(|target| target != room && self::number(target).is_some());
        found.entry(room.to_owned()).or_insert((number, BTreeSet::new())).1.extend(imports);
    }
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file under `src` with its path from there; generated ones aside.
fn files() -> Vec<(String, String)> {
    let (mut folders, mut files) = (vec![root().join("src")], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "generated") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root().join("src")).unwrap().to_str().unwrap().replace('\\', "/");
                files.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

#[test]
fn the_house_is_in_order() {
    let (house, files) = (House::read(), files());
    // Whatever is declared under `cfg(test)`, in a file of its own, is test code and may look anywhere.
    let tests: BTreeSet<String> = files.iter().flat_map(|(name, source)| test_files(name, &tokens(source))).collect();
    let is_test = |name: &str| {
        let module = name.trim_end_matches(".rs").trim_end_matches("/mod");
        tests.iter().any(|test| module == test || module.strip_prefix(test).is_some_and(|rest| rest.starts_with('/')))
    };
    let mut found = Vec::new();
    let mut looked_at = 0;
    for (name, source) in &files {
        if has_no_code(name) || is_test(name) {
            found
                .extend(unfinished(&tokens(source)).into_iter().map(|(line, fault)| format!("{name}:{line}: {fault}")));
        } else {
            found.extend(house.violations(name, source));
            looked_at += 1;
        }
    }
    found.extend(too_large(files.iter().map(|(name, source)| (name.as_str(), source.lines().count(), is_test(name)))));
    let code: Vec<_> = files.iter().filter(|(name, _)| !has_no_code(name) && !is_test(name)).collect();
    let code: Vec<_> = code.iter().map(|(name, source)| (name.clone(), without_tests(&tokens(source)))).collect();
    found.extend(circles::circles(&code).into_iter().map(|circle| format!("in a circle: {circle}")));
    let contributing = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    found.extend(plan::faults(&plan::read(&contributing), &plan_of(&code)));
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
    let mut lines: Vec<usize> = files.iter().map(|(_, source)| source.lines().count()).collect();
    lines.sort_unstable();
    assert!(lines[lines.len() / 2] < 200, "the median file has {} lines", lines[lines.len() / 2]);
    assert!(looked_at > 30, "only {looked_at} files were found");
    assert!(house.doors["crypto"].contains("braid_kem") && !house.doors["crypto"].contains("dh"));
    assert!(
        house.dependencies.contains("libcrux_ml_kem")
            && house.dependencies.contains("graviola")
            && !house.dependencies.contains("criterion")
    );
}

/// Rooms that a platform's code may name. Not one that owns a secret of a client: a platform cannot be handed what
/// its code cannot name. The keys of `attachment` are single files', and reach a platform only in a part that a
/// reporter revealed: without the room it could not tell whether an object is the file that was sent. Of `prekey` only what is
/// public may be named, of `suite` which there are, of `account` what judges rosters.
fn is_of_a_platform(path: &[String]) -> bool {
    let named = path.get(1).map_or("", String::as_str);
    path.first().is_some_and(|room| match room.as_str() {
        "platform" | "report" | "attachment" | "crypto" | "ident" | "wire" => true,
        "suite" => named == "Suite",
        "account" => {
            matches!(named, "CarriedRoster" | "HeldRoster" | "RosterError" | "TakeError" | "Taken" | "UnverifiedRoster")
        }
        "prekey" => {
            named.starts_with("read_")
                || named.starts_with("write_")
                || matches!(
                    named,
                    "BundleError" | "PrekeyCounts" | "PrekeyUpload" | "PublishedPrekey" | "UnverifiedBundle"
                )
        }
        _ => false,
    })
}

#[test]
fn the_platform_names_no_secret_of_a_client() {
    let files = files().into_iter().filter(|(name, _)| name.starts_with("platform/") && !name.ends_with("/tests.rs"));
    let mut looked_at = 0;
    for (name, source) in files {
        for (line, path) in crate_paths(&without_tests(&tokens(&source))) {
            assert!(is_of_a_platform(&path), "{name}:{line}: crate::{}", path.join("::"));
            // Of what framing knows, neither the state nor the evidence of a client; of files, nothing that makes one.
            let named = path.last().map_or("", String::as_str);
            assert!(
                !matches!(
                    named,
                    "ChainState"
                        | "Evidence"
                        | "ReportBuilder"
                        | "seal_report"
                        | "AttachmentKey"
                        | "Encryptor"
                        | "Upload"
                ),
                "{name}:{line}: {named}"
            );
            looked_at += 1;
        }
    }
    assert!(looked_at > 20, "only {looked_at} paths were found");
    for room in ["session", "prekey", "ratchet", "handshake", "account", "group", "sealed", "client", "persist", "rows"]
    {
        assert!(!is_of_a_platform(&[room.to_owned(), "Anything".to_owned()]));
    }
    for secret in ["AccountKeyPair", "RecoveryKeyPair", "NextRoster", "LinkOffer", "PendingLink", "SasInitiator"] {
        assert!(!is_of_a_platform(&["account".to_owned(), secret.to_owned()]));
    }
    for secret in ["Device", "SignedPrekey", "OneTimePrekey", "KemPrekey", "PrekeySecrets"] {
        assert!(!is_of_a_platform(&["prekey".to_owned(), secret.to_owned()]));
    }
}

#[test]
fn unsafe_code_is_forbidden() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let lints = manifest.split("\n[").find(|section| section.starts_with("lints.rust]")).unwrap();
    assert!(lints.lines().any(|line| line == "unsafe_code = \"forbid\""));
}

#[test]
fn each_dependency_has_one_version() {
    // Of the machine's own target: for others, cargo would have to fetch what the test build did not need.
    let tree = ["tree", "--edges", "normal", "--prefix", "none", "--all-features", "--offline", "--locked"];
    let output = Command::new(env!("CARGO")).args(tree).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(tree.contains("libcrux-ml-kem v"), "{tree}");
    assert_eq!(doubled(&tree), Vec::<String>::new());
}

#[test]
fn bad_sources_are_reported() {
    let house = House {
        doors: BTreeMap::from([("crypto".to_owned(), BTreeSet::from(["braid_kem".to_owned()]))]),
        dependencies: ["hkdf", "sha2", "prost", "rand_core", "zeroize"].map(str::to_owned).into(),
    };
    let bad = [
        ("ratchet/double.rs", "use crate::session::Session;", "looks up"),
        ("ratchet/double.rs", "fn f(s: &crate::session::Session) {}", "looks up"),
        ("ratchet/double.rs", "use crate::{crypto::Secret, session::{SessionMessage, Session}};", "looks up"),
        ("ratchet/double.rs", "pub(in crate::session) fn f() {}", "looks up"),
        ("sealed/mod.rs", "use crate::attachment::File;", "looks up"),
        ("platform/mod.rs", "use crate::client::Client;", "looks up"),
        ("ratchet/double.rs", "use crate::crypto::dh::KeyPair;", "around the door"),
        ("ratchet/double.rs", "use crate::{ident::Address, crypto::{dh::{self, KeyPair}, Secret}};", "around the door"),
        ("ratchet/double.rs", "use crate::crypto::braid_kem::inner::Key;", "around the door"),
        ("ratchet/double.rs", "use crate::crypto::dh::*;", "around the door"),
        ("ratchet/double.rs", "fn f() { crate::crypto::kdf::hkdf::<32>(); }", "around the door"),
        ("ratchet/double.rs", "use crate::Session;", "names no room"),
        ("ratchet/double.rs", "use crate::vectors::load;", "names no room"),
        ("ratchet/double.rs", "use crate::*;", "names the crate root"),
        ("ratchet/double.rs", "use crate as root;", "names the crate root"),
        ("ratchet/double.rs", "use crate::{self as root};", "names the crate root"),
        ("ratchet/spqr/braid.rs", "use super::super::Refused;", "super::super"),
        ("ratchet/spqr/braid.rs", "use super::{super::Refused};", "super::super"),
        ("ratchet/spqr/braid.rs", "use self::super::super::Refused;", "super::super"),
        ("ratchet/mod.rs", "use super::session::Session;", "through the crate root"),
        ("ratchet/mod.rs", "mod inner { pub use super::Refused; } use super::prekey;", "through the crate root"),
        ("ratchet/chain.rs", "use hkdf::Hkdf;", "may not name hkdf"),
        ("ratchet/chain.rs", "use {core::fmt, sha2::Sha256};", "may not name sha2"),
        ("ratchet/chain.rs", "use sha2 as hash;", "may not name sha2"),
        ("ratchet/chain.rs", "fn f() -> ::sha2::Sha256 { ::sha2::Sha256::new() }", "may not name sha2"),
        ("ratchet/chain.rs", "extern crate sha2;", "may not name sha2"),
        ("prekey/bundle.rs", "use prost::Message as _;", "may not name prost"),
        ("wire/stored.rs", "fn f(rng: &mut impl rand_core::CryptoRng) {}", "may not name rand_core"),
        ("ident/mod.rs", "#[derive(zeroize::Zeroize)] struct Name;", "may not name zeroize"),
        ("ratchet/chain.rs", "fn f() { todo!() }", "todo!"),
        ("ratchet/chain.rs", "fn f() { unimplemented!(\"later\") }", "unimplemented!"),
        ("wire/mod.rs", "#[derive(Debug)] pub enum WireError { A }", "WireError is closed"),
        ("wire/mod.rs", "#[non_exhaustive] pub enum A { } pub enum WireError { A }", "WireError is closed"),
        ("ratchet/chain.rs", "fn f() {}\n#[cfg(test)]\nmod tests {\n}", "belong beside it"),
        ("common/mod.rs", "", "is in no room"),
        ("helpers.rs", "", "is in no room"),
        // What follows test code is looked at again, and what only resembles test code as well.
        ("ratchet/chain.rs", "#[cfg(test)] mod tests { fn f() {} } use crate::session::Session;", "looks up"),
        ("ratchet/chain.rs", "#[cfg(test)] mod tests; use crate::session::Session;", "looks up"),
        ("ratchet/chain.rs", "#[cfg(test)] use a::b; use crate::session::Session;", "looks up"),
        ("ratchet/chain.rs", "#[cfg(not(test))] use crate::session::Session;", "looks up"),
        ("ratchet/chain.rs", "#[cfg(any(test, unix))] use crate::session::Session;", "looks up"),
        ("ratchet/chain.rs", "struct S { #[cfg(test)] a: u8, b: crate::session::Session }", "looks up"),
        ("ratchet/chain.rs", "const C: char = '\"'; use crate::session::Session; const D: char = '\"';", "looks up"),
        ("ratchet/chain.rs", "const R: &str = r#\"\"\"#; use crate::session::Session;", "looks up"),
        ("ratchet/chain.rs", "/* /* */ */ fn f<'a>() {} use crate::session::Session;", "looks up"),
    ];
    for (file, source, fault) in bad {
        let found = house.violations(file, source);
        assert!(found.iter().any(|found| found.contains(fault)), "{source}\n  gave {found:?}");
    }
    let good = [
        ("ratchet/double.rs", "use crate::crypto::{KeyPair, hkdf, braid_kem::{self, Key}}; use super::chain::Chain;"),
        ("ratchet/double.rs", "use crate::crypto::braid_kem; use crate::crypto; use crate::crypto::*;"),
        (
            "ratchet/double.rs",
            "fn f() { crate::crypto::Secret::new([0; 32]); crate::crypto::hkdf::<32>(); hkdf::<96>(); }",
        ),
        ("ratchet/spqr/braid.rs", "use crate::ratchet::record::join; pub(crate) fn f() {} pub(super) fn g() {}"),
        ("ratchet/mod.rs", "mod inner { use super::Refused; } #[cfg(test)] use super::session;"),
        ("ratchet/chain.rs", "// crate::session\n/* use crate::session; */ const S: &str = \"crate::session\\\"\";"),
        (
            "ratchet/chain.rs",
            "\n#[cfg(test)] #[path = \"x\"] mod tests { use crate::session::Session; use super::super::X; }",
        ),
        ("ratchet/chain.rs", "#[cfg(all(test, unix))] fn f<A, B>(a: crate::session::S) -> [u8; 3] { { sha2::x() } }"),
        ("ratchet/chain.rs", "fn f() {\n}\n\n#[cfg(test)]\nmod tests {\n}"),
        ("ratchet/chain.rs", "fn f() {}\n#[cfg(test)]\nmod tests;\n#[cfg(test)]\nuse a::{\n b, c };"),
        ("crypto/kdf.rs", "use hkdf::Hkdf; use sha2::Sha256;"),
        (
            "wire/mod.rs",
            "#[derive(Debug)] #[non_exhaustive] #[repr(u8)] pub enum WireError { A } pub(crate) enum InnerError {}",
        ),
    ];
    for (file, source) in good {
        assert_eq!(house.violations(file, source), Vec::<String>::new(), "{source}");
    }
    let large = [("a/long.rs", MAX_LINES + 1, true), ("a/mod.rs", MAX_LINES, false)];
    assert_eq!(too_large(large.into_iter()), ["a/long.rs: more than 500 lines"]);
    let names: Vec<String> = (0..=MAX_FILES).map(|number| format!("a/b/{number}.rs")).collect();
    let files = |count: usize, tests| names[..count].iter().map(move |name| (name.as_str(), 1, tests));
    assert_eq!(too_large(files(MAX_FILES + 1, false)), ["a/b: 13 files, more than 12"]);
    assert_eq!(too_large(files(MAX_FILES + 1, true)), Vec::<String>::new());
    assert_eq!(too_large(files(MAX_FILES, false).chain([("a/b/mod.rs", 1, false)])), Vec::<String>::new());
    assert_eq!(doubled("a v1 (*)\nb v1\na v2\nb v1\nsyn v1\nsyn v2").len(), 1);
    let declared = "mod a; #[cfg(test)] mod b; #[cfg(test)] pub(crate) mod c; #[cfg(test)] mod d { }";
    assert_eq!(test_files("ratchet/mod.rs", &tokens(declared)), ["ratchet/b", "ratchet/c"]);
    assert_eq!(test_files("ratchet/chain.rs", &tokens(declared)), ["ratchet/chain/b", "ratchet/chain/c"]);
    let manifest =
        "[package]\n\n[dependencies]\na-b = \"1\"\n# c\n\n[target.'cfg(unix)'.dependencies]\nd = 1\n\n[x]\ne = 1";
    assert_eq!(dependencies(manifest), ["a_b".to_owned(), "d".to_owned()].into());
}
