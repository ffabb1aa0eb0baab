//! Replays of recorded transcripts compare a party's state with the recorded checkpoints through this door.

use std::string::{String, ToString};

use serde_json::{Value, json};

use super::Spqr;

impl Spqr {
    pub(crate) fn checkpoint(&self) -> Value {
        let hex = |secret: &crate::crypto::Secret<32>| -> String { hex::encode(secret.expose()) };
        let (root, mac) = self.braid.parts().0.keys();
        json!({
            "state": self.braid.state_name().to_string(),
            "epoch": self.braid.epoch(),
            "authRoot": hex(root),
            "authMac": hex(mac),
            "chainEpoch": self.chains.newest_epoch(),
            "sendEpoch": self.chains.sending_epoch,
            "nextRoot": hex(&self.chains.next_root),
            "links": self.chains.epochs.len(),
        })
    }
}

/// Whether every field of a recorded checkpoint is the same in ours.
pub(crate) fn assert_matches(ours: &Value, recorded: &Value, at: &str) {
    for (name, value) in recorded.as_object().unwrap() {
        if value.is_object() {
            assert_matches(&ours[name], value, at);
        } else {
            assert_eq!(&ours[name], value, "{name} at {at}");
        }
    }
}

impl Spqr {
    /// Skipped message keys of all epochs: what must stay bounded.
    pub(crate) fn skipped_keys(&self) -> usize {
        self.chains.epochs.iter().map(|epoch| epoch.skipped.len()).sum()
    }

    /// The secrets of the chains.
    pub(crate) fn secrets(&self) -> std::vec::Vec<crate::crypto::Secret<32>> {
        let chains = self.chains.epochs.iter();
        let chains = chains.flat_map(|epoch| epoch.sending().into_iter().chain([&epoch.receiving]));
        chains.map(|chain| chain.key.clone()).chain([self.chains.next_root.clone()]).collect()
    }
}
