use crate::crypto::{MacKey, NotContributory, PeerKey, PrivateKey, Secret, hkdf};
use crate::suite::Suite;

/// The root key of the Double Ratchet.
#[derive(Clone)]
pub(super) struct RootKey(pub(super) Secret<32>);

impl RootKey {
    /// One root step: the next root key, and the chain that it opens.
    pub(super) fn step(
        &self,
        suite: Suite,
        ours: &PrivateKey,
        theirs: &PeerKey,
    ) -> Result<(Self, Chain), NotContributory> {
        let shared = ours.agree_with(theirs)?;
        let derived = hkdf::<64>(self.0.expose(), shared.expose(), &[suite.root_label()]);
        let [root, chain] = derived.split2();
        Ok((Self(root), Chain { key: chain, index: 0 }))
    }
}

/// A symmetric chain: its key, and the index of the message that it serves next.
#[derive(Clone)]
pub(super) struct Chain {
    pub(super) key: Secret<32>,
    pub(super) index: u32,
}

impl Chain {
    /// The seed of message `index`; the chain goes on. `None` after 2^32 − 1 messages.
    pub(super) fn step(&mut self) -> Option<Secret<32>> {
        #[cfg(any(test, feature = "testing"))]
        crate::crypto::steps::note();
        let index = self.index.checked_add(1)?;
        let key = MacKey::new(&self.key);
        let seed = key.mac(&[&[0x01]]);
        *self = Self { key: key.mac(&[&[0x02]]), index };
        Some(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::{array, load, secret};

    #[test]
    fn recorded_steps_are_reproduced() {
        let vectors = load("derivations.json");
        let step = &vectors["firstRatchetStep"];
        let derived = hkdf::<64>(
            &array::<32>(&vectors["pqxdh"]["rootKey"]),
            &array::<32>(&step["dh"]),
            &[Suite::Signal.root_label()],
        );
        let [root, chain] = derived.split2();
        assert!(root == secret(&step["rootKey"]) && chain == secret(&step["chainKey"]));
        for case in vectors["messages"].as_array().unwrap() {
            let mut chain = Chain { key: secret(&case["chainKey"]), index: 0 };
            assert!(chain.step().unwrap() == secret(&case["messageSeed"]));
        }
    }

    #[test]
    fn a_chain_ends_without_wrapping() {
        let mut chain = Chain { key: Secret::new([0; 32]), index: u32::MAX - 1 };
        assert!(chain.step().is_some());
        assert!(chain.step().is_none());
        assert_eq!(chain.index, u32::MAX);
    }
}
