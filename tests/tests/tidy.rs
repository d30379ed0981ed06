//! Style as a test: what no linter holds. The crate graph, module docs, file length, files that nothing includes,
//! libraries that stay in their room, dependencies that nobody uses.
//!
//! The model is TigerBeetle's `tidy.zig`: a rule that is not checked is not a rule.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 500;

/// Who may depend on whom, directly.
const ROOMS: &[(&str, &[&str])] = &[
    ("storage", &[]),
    ("raft", &["storage"]),
    ("node", &["raft", "storage"]),
    ("cli", &["node", "raft", "storage"]),
    ("simulation", &["node", "raft", "storage"]),
    // The crash test weighs real processes with the simulator's workload and judges: there are no second ones. It links
    // `node` for the network seam alone; the runner in `tests/src` links neither.
    ("tests", &["node", "simulation"]),
];

/// Text that may stand only below these paths (tests aside): one room per outside library.
const CONFINED: &[(&str, &[&str])] = &[
    ("rocksdb::", &["storage/src/kv/"]),
    ("librocksdb_sys::", &["storage/src/kv/sealed/"]),
    ("unsafe ", &["storage/src/kv/sealed/"]),
    (
        "std::fs",
        &[
            "storage/src/disk/real.rs",
            // Keys and certificates, with the mode that keeps them from other users.
            "node/src/environment/real.rs",
            // A child's output is a file of the operating system's.
            "cli/src/dev/child.rs",
            // Golden files and traces, beside the code under test.
            "raft/src/golden.rs",
            "simulation/src/bin/",
            "tests/",
        ],
    ),
    ("openraft::", &["raft/src/group/"]),
    ("bincode::", &["raft/src/codec.rs"]),
    ("reed_solomon", &["storage/src/codec/"]),
    // Patterns of tags, and of claims, which have other letters.
    ("wildmatch::", &["raft/src/policy/pattern.rs", "node/src/audit/search.rs", "node/src/federation/claims.rs"]),
    ("webpki::", &["node/src/federation/chain.rs"]),
    ("ldap3::", &["node/src/ldap/"]),
    ("instant_acme::", &["node/src/acme/"]),
    ("argon2::", &["node/src/login/passwords.rs", "node/src/login/stretch.rs"]),
    ("jsonwebtoken::", &["node/src/login/", "node/src/federation/"]),
    ("bcrypt::", &["node/src/federation/htpasswd.rs"]),
    ("tonic::", &["node/src/peer/", "node/build.rs"]),
    ("axum::", &["node/src/"]),
    // The cluster's own certificates, those that others' tokens carry, and the names in those of clients and domains.
    ("x509_parser", &["node/src/identity/", "node/src/federation/chain.rs", "node/src/serve/client.rs"]),
    // The cluster's own certificates, and those of the servers and clients that a test puts beside it.
    ("rcgen::", &["node/src/identity/", "tests/src/certificates.rs"]),
    // The simulator's program draws fresh seeds by it, outside of every run. The issuer beside a test dates its tokens.
    ("SystemTime::now", &["node/src/environment/real.rs", "simulation/src/bin/", "tests/src/issuer.rs"]),
    ("spawn_blocking", &["storage/src/exec.rs"]),
    ("turmoil::", &["simulation/"]),
    ("bolero::", &["node/src/fuzz/"]),
    ("regex::", &["node/src/fuzz/"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned()
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned()
}

fn rust_files() -> Vec<PathBuf> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        let mut entries: Vec<PathBuf> = fs::read_dir(directory)
            .expect("the tree can be read")
            .map(|entry| entry.expect("the tree can be read").path())
            .collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    for (room, _) in ROOMS {
        walk(&root().join(room), &mut found);
    }
    assert!(found.len() > 50, "the walk found {} files only", found.len());
    found
}

fn report(rule: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{rule}:\n  {}", violations.join("\n  "));
}

/// Whether a file as a whole is a test: below a `tests` folder, or the tests of a module in a file of their own.
fn is_test(name: &str) -> bool {
    name.contains("/tests/") || name.ends_with("/tests.rs")
}

/// Code of a file without its line comments and without its unit tests, which stand at the end.
fn code_of(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("sources are UTF-8");
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_top_level_is_what_the_design_says() {
    let allowed: BTreeSet<&str> = [
        "Cargo.toml",
        "node",
        "raft",
        "storage",
        "cli",
        "deploy",
        "simulation",
        "tests",
        "README.md",
        "Cargo.lock",
        "LICENSE",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "clippy.toml",
        "rustfmt.toml",
        "deny.toml",
        "target",
        "regnode-data",
    ]
    .into();
    let mut violations = Vec::new();
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !allowed.contains(name.as_str()) {
            violations.push(name);
        }
    }
    report("unknown entries at the top level", &violations);
}

#[test]
fn crates_depend_only_downwards() {
    let rooms: BTreeMap<&str, &[&str]> = ROOMS.iter().copied().collect();
    let mut violations = Vec::new();
    for (room, allowed) in &rooms {
        let manifest = fs::read_to_string(root().join(room).join("Cargo.toml")).unwrap();
        for other in rooms.keys().filter(|other| *other != room) {
            let depends = manifest.lines().any(|line| line.starts_with(&format!("{other} =")));
            if depends && !allowed.contains(other) {
                violations.push(format!("{room} depends on {other}"));
            }
        }
    }
    report("the crate graph", &violations);
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = |path: &&PathBuf| !fs::read_to_string(path).unwrap().trim_start().starts_with("//!");
    let violations: Vec<String> = rust_files().iter().filter(silent).map(|path| relative(path)).collect();
    report("files without a //! head", &violations);
}

#[test]
fn no_file_is_two_concepts_long() {
    let mut violations = Vec::new();
    for path in rust_files() {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        if lines > LINES_MAX {
            violations.push(format!("{} has {lines} lines", relative(&path)));
        }
    }
    report(&format!("files above {LINES_MAX} lines"), &violations);
}

#[test]
fn every_file_is_part_of_a_crate() {
    let mut violations = Vec::new();
    for path in rust_files() {
        let name = relative(&path);
        let in_sources = name.contains("/src/") && !name.contains("/src/bin/");
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        if !in_sources || name.ends_with("/src/lib.rs") || name.ends_with("/src/main.rs") {
            continue;
        }
        let (folder, module) = if stem == "mod" {
            let folder = path.parent().unwrap();
            (folder.parent().unwrap(), folder.file_name().unwrap().to_string_lossy().into_owned())
        } else {
            (path.parent().unwrap(), stem)
        };
        let mut parents =
            vec![folder.join("mod.rs"), folder.join("lib.rs"), folder.join("main.rs"), folder.with_extension("rs")];
        parents.retain(|parent| parent.exists());
        let declared = |parent: &PathBuf| {
            let text = fs::read_to_string(parent).unwrap();
            text.lines().any(|line| line.trim_end().ends_with(&format!("mod {module};")))
        };
        if !parents.iter().any(declared) {
            violations.push(name);
        }
    }
    report("files that no module declares", &violations);
}

#[test]
fn libraries_stay_in_their_rooms() {
    let mut violations = Vec::new();
    for path in rust_files() {
        let name = relative(&path);
        if is_test(&name) {
            continue;
        }
        let code = code_of(&path);
        for (text, rooms) in CONFINED {
            if code.contains(text) && !rooms.iter().any(|room| name.starts_with(room)) {
                violations.push(format!("{name} uses {text}, which belongs in {}", rooms.join(", ")));
            }
        }
    }
    report("libraries outside their rooms", &violations);
}

#[test]
fn nothing_is_left_open() {
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimpl", "emented!(")];
    let mut violations = Vec::new();
    for path in rust_files() {
        for (index, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                violations.push(format!("{}:{} {}", relative(&path), index + 1, line.trim()));
            }
        }
    }
    report("work left open in the code", &violations);
}

#[test]
fn every_dependency_is_used() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let table = manifest.split("[workspace.dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let declared: Vec<&str> = table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(" ="))
        .map(|pair| pair.0)
        .collect();
    let mut violations = Vec::new();
    let mut used_somewhere = BTreeSet::new();
    for (room, _) in ROOMS {
        let own = fs::read_to_string(root().join(room).join("Cargo.toml")).unwrap();
        let code: String = rust_files()
            .iter()
            .filter(|path| path.starts_with(root().join(room)))
            .map(|path| fs::read_to_string(path).unwrap())
            .collect();
        for name in own.lines().filter_map(|line| line.split_once(" = { workspace").map(|pair| pair.0)) {
            used_somewhere.insert(name.to_owned());
            // tonic-prost and prost are named by generated code, raw crates by their underscore name.
            let generated = ["prost", "tonic-prost"].contains(&name);
            if !generated && !code.contains(&name.replace('-', "_")) {
                violations.push(format!("{room} does not use {name}"));
            }
        }
    }
    for name in declared {
        if !used_somewhere.contains(name) {
            violations.push(format!("no crate uses {name}"));
        }
    }
    report("dependencies that nobody uses", &violations);
}
