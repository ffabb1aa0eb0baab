//! The table of rooms in CONTRIBUTING.md: which rooms there are, by their numbers, and what each of them imports.

use std::collections::{BTreeMap, BTreeSet};

/// A room's number, and the rooms that it imports from.
pub(crate) type Plan = BTreeMap<String, (u8, BTreeSet<String>)>;

/// The table, as it is written: lines of `| number | room | imports from |`.
pub(crate) fn read(markdown: &str) -> Plan {
    let rows = markdown.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
        let [number, room, imports] = *cells.as_slice() else { return None };
        Some((names(room).pop_first()?, (number.parse().ok()?, names(imports))))
    });
    rows.collect()
}

/// The words between backticks.
fn names(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// What of the table is not so, with what would be right.
pub(crate) fn faults(written: &Plan, found: &Plan) -> Vec<String> {
    let mut faults = Vec::new();
    for room in written.keys().chain(found.keys()).collect::<BTreeSet<_>>() {
        match (written.get(room), found.get(room)) {
            (Some(written), Some(found)) if written == found => {}
            (_, Some((number, imports))) => {
                let imports: Vec<_> = imports.iter().map(|name| format!("`{name}`")).collect();
                faults.push(format!("CONTRIBUTING.md: | {number} | `{room}` | {} |", imports.join(", ")));
            }
            (_, None) => faults.push(format!("CONTRIBUTING.md: there is no room {room}")),
        }
    }
    faults
}

#[test]
fn a_wrong_table_is_reported() {
    let table = "| | room | imports from |\n|---|---|---|\n| 0 | `crypto` | |\n| 2 | `wire` | `crypto` |\n";
    let right = read(table);
    assert_eq!(right.len(), 2);
    assert_eq!(faults(&right, &right), Vec::<String>::new());
    for (bad, fault) in [
        ("| 0 | `crypto` | |", "| 2 | `wire` | `crypto` |"),
        ("| 0 | `crypto` | |\n| 3 | `wire` | `crypto` |", "| 2 | `wire` | `crypto` |"),
        ("| 0 | `crypto` | |\n| 2 | `wire` | |", "| 2 | `wire` | `crypto` |"),
        ("| 0 | `crypto` | `ident` |\n| 2 | `wire` | `crypto` |", "| 0 | `crypto` |  |"),
        ("| 0 | `crypto` | |\n| 2 | `wire` | `crypto` |\n| 7 | `attic` | |", "no room attic"),
    ] {
        let found = faults(&read(bad), &right);
        assert!(found.iter().any(|found| found.ends_with(fault)), "{bad}\n  gave {found:?}");
    }
}
