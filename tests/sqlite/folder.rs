//! What these tests share: a folder with hosts and their relay, and processes that work in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use subrosa::client::{MaintainError, Maintained};
use subrosa::persist::StorageKey;
use subrosa::sqlite::AccountError;

use super::{kill, together};
use crate::host::relay::Relay;
use crate::host::{Host, now, rng};

/// The folder is gone when the test is over.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("subrosa-sqlite-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn at(path: impl Into<PathBuf>) -> std::mem::ManuallyDrop<Self> {
        std::mem::ManuallyDrop::new(Self(path.into()))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn relay(&self) -> Relay {
        Relay::at(&self.path("relay"))
    }

    pub(crate) fn open(&self, name: &str) -> Host {
        Host::open(&self.0, name, &key(), &self.relay()).unwrap()
    }

    /// A host's files, as they are in this moment.
    pub(crate) fn copy_host(&self, name: &str, to: &Self) {
        for file in ["sqlite", "sqlite-wal", "counter"].map(|kind| format!("{name}.{kind}")) {
            match fs::read(self.path(&file)) {
                Ok(bytes) => fs::write(to.path(&file), bytes).unwrap(),
                Err(_) => drop(fs::remove_file(to.path(&file))),
            }
        }
        let _ = fs::remove_file(to.path(&format!("{name}.sqlite-shm")));
    }

    /// The relay of another folder has these hosts' prekeys.
    pub(crate) fn copy_prekeys(&self, to: &Self) {
        for name in ["alice", "bob"] {
            let folder = format!("relay/{name}.1/prekeys");
            fs::create_dir_all(to.path(&folder)).unwrap();
            for file in fs::read_dir(self.path(&folder)).unwrap().map(Result::unwrap) {
                fs::copy(file.path(), to.path(&folder).join(file.file_name())).unwrap();
            }
        }
    }

    /// Two hosts that talk: each has answered the other.
    pub(crate) fn talking(&self) -> (Host, Host) {
        let (mut alice, mut bob) = (self.open("alice"), self.open("bob"));
        for turn in 0..3 {
            alice.send(crate::host::message_id(), "bob", &format!("alice says {turn}")).unwrap();
            deliver(&mut alice, &mut bob);
            bob.send(crate::host::message_id(), "alice", &format!("bob says {turn}")).unwrap();
            deliver(&mut alice, &mut bob);
        }
        (alice, bob)
    }

    /// This program as another process, doing `role`.
    pub(crate) fn spawn(&self, role: &str, name: &str) -> Process {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "sqlite::folder::another_process", "--nocapture"]);
        command.current_dir(&self.0).env("SUBROSA_CHILD", format!("{role} {name} {}", self.0.display()));
        Process(command.stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) const fn key() -> StorageKey {
    StorageKey::new([7; 32])
}

/// Maintains the account alone, in one transaction.
pub(crate) fn advance(host: &Host) -> Maintained {
    let maintained = host.rollback_counter.advance(|stored| {
        let maintain = host.client.maintain();
        let done = maintain.run(&host.db, now(), &mut rng(), |_, _| Ok(())).map_err(AccountError::from)?;
        Ok::<_, AccountError<MaintainError>>((done, done.rollback_counter.unwrap_or(stored)))
    });
    maintained.unwrap()
}

/// Delivers until nothing is under way.
pub(crate) fn deliver(one: &mut Host, two: &mut Host) {
    loop {
        one.post().unwrap();
        two.post().unwrap();
        if one.receive(500).unwrap() + two.receive(500).unwrap() == 0 {
            return;
        }
    }
}

/// A process that does not outlive the test.
pub(crate) struct Process(Child);

impl Process {
    /// As `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub(crate) fn succeeds(mut self) -> bool {
        self.0.wait().unwrap().success()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Not a test but what [`Folder::spawn`] runs.
#[test]
fn another_process() {
    let Ok(role) = std::env::var("SUBROSA_CHILD") else { return };
    let [role, name, path] = role.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{role}") };
    let folder = Folder::at(Path::new(path));
    match role {
        "converse" => kill::converse(&folder, name),
        "single" => together::work(&folder, name, role, 1),
        "bulk" => together::work(&folder, name, role, 500),
        "relative" => drop(Folder::at("").open(name)),
        "correspond" => together::correspond(&folder, name),
        _ => panic!("{role}"),
    }
}
