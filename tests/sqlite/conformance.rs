//! The library's own suite for stores, on SQLite.

use std::path::{Path, PathBuf};

use subrosa::client::{ApplyError, Batch, Row, Store};
use subrosa::persist::RecordKey;
use subrosa::testing::conformance::{self, HostStore};

use super::folder::Folder;
use crate::host::records::Database;

struct Tried {
    db: Database,
    path: PathBuf,
}

impl Tried {
    fn open(path: &Path) -> rusqlite::Result<Self> {
        Ok(Self { db: Database::open(path, "")?, path: path.to_owned() })
    }
}

impl Store for Tried {
    type Error = rusqlite::Error;

    fn load(&self, keys: &[RecordKey]) -> rusqlite::Result<Vec<Option<Row>>> {
        self.db.load(keys)
    }
}

impl HostStore for Tried {
    fn write(&mut self, batch: &Batch) -> Result<(), ApplyError<rusqlite::Error>> {
        self.db.write(batch, |_| Ok(()))
    }

    fn reopen(self) -> rusqlite::Result<Self> {
        let Self { db, path } = self;
        drop(db);
        Self::open(&path)
    }
}

#[test]
fn the_table_is_what_the_library_asks_for() {
    let (folder, mut number) = (Folder::new(), 0);
    let outcome = conformance::run(|| {
        number += 1;
        Tried::open(&folder.path(&format!("{number}.sqlite")))
    });
    assert!(outcome.is_ok(), "{outcome:?}");
}
