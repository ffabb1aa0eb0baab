//! The library's own suite for stores, on SQLite.

use std::path::{Path, PathBuf};

use subrosa::client::Database;
use subrosa::persist::RecordKey;
use subrosa::sqlite::{Sqlite, Transaction};
use subrosa::staging::{ApplyError, Batch, Row, Store};
use subrosa::testing::conformance::{self, Reopen};

use super::folder::Folder;

struct Tried {
    db: Sqlite,
    path: PathBuf,
}

impl Tried {
    fn open(path: &Path) -> rusqlite::Result<Self> {
        Ok(Self { db: Sqlite::open(path, "")?, path: path.to_owned() })
    }
}

impl Store for Tried {
    type Error = rusqlite::Error;

    fn load(&self, keys: &[RecordKey]) -> rusqlite::Result<Vec<Option<Row>>> {
        self.db.load(keys)
    }
}

impl Database for Tried {
    type Transaction<'a> = Transaction<'a>;

    fn transact(
        &self,
        batch: &Batch,
        own: impl FnOnce(&mut Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), ApplyError<rusqlite::Error>> {
        self.db.transact(batch, own)
    }
}

impl Reopen for Tried {
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
