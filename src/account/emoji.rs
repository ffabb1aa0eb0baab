/// An emoji of a short authentication string, and its English name, by which two people read it to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SasEmoji {
    /// The emoji.
    pub symbol: &'static str,
    /// Its name in English.
    pub name: &'static str,
}

/// The table of the Matrix specification, by index.
const TABLE: [(&str, &str); 64] = [
    ("🐶", "Dog"),
    ("🐱", "Cat"),
    ("🦁", "Lion"),
    ("🐎", "Horse"),
    ("🦄", "Unicorn"),
    ("🐷", "Pig"),
    ("🐘", "Elephant"),
    ("🐰", "Rabbit"),
    ("🐼", "Panda"),
    ("🐓", "Rooster"),
    ("🐧", "Penguin"),
    ("🐢", "Turtle"),
    ("🐟", "Fish"),
    ("🐙", "Octopus"),
    ("🦋", "Butterfly"),
    ("🌷", "Flower"),
    ("🌳", "Tree"),
    ("🌵", "Cactus"),
    ("🍄", "Mushroom"),
    ("🌏", "Globe"),
    ("🌙", "Moon"),
    ("☁️", "Cloud"),
    ("🔥", "Fire"),
    ("🍌", "Banana"),
    ("🍎", "Apple"),
    ("🍓", "Strawberry"),
    ("🌽", "Corn"),
    ("🍕", "Pizza"),
    ("🎂", "Cake"),
    ("❤️", "Heart"),
    ("😀", "Smiley"),
    ("🤖", "Robot"),
    ("🎩", "Hat"),
    ("👓", "Glasses"),
    ("🔧", "Spanner"),
    ("🎅", "Santa"),
    ("👍", "Thumbs Up"),
    ("☂️", "Umbrella"),
    ("⌛", "Hourglass"),
    ("⏰", "Clock"),
    ("🎁", "Gift"),
    ("💡", "Light Bulb"),
    ("📕", "Book"),
    ("✏️", "Pencil"),
    ("📎", "Paperclip"),
    ("✂️", "Scissors"),
    ("🔒", "Lock"),
    ("🔑", "Key"),
    ("🔨", "Hammer"),
    ("☎️", "Telephone"),
    ("🏁", "Flag"),
    ("🚂", "Train"),
    ("🚲", "Bicycle"),
    ("✈️", "Aeroplane"),
    ("🚀", "Rocket"),
    ("🏆", "Trophy"),
    ("⚽", "Ball"),
    ("🎸", "Guitar"),
    ("🎺", "Trumpet"),
    ("🔔", "Bell"),
    ("⚓", "Anchor"),
    ("🎧", "Headphones"),
    ("📁", "Folder"),
    ("📌", "Pin"),
];

/// The emoji of an index below 64.
pub(super) fn emoji(index: u8) -> SasEmoji {
    let (symbol, name) = TABLE.get(usize::from(index)).copied().unwrap_or_default();
    SasEmoji { symbol, name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_emoji_are_alike() {
        let symbols: std::collections::BTreeSet<_> = TABLE.iter().map(|(symbol, _)| symbol).collect();
        let names: std::collections::BTreeSet<_> = TABLE.iter().map(|(_, name)| name).collect();
        assert_eq!((symbols.len(), names.len()), (64, 64));
        assert_eq!((emoji(0).name, emoji(63).name), ("Dog", "Pin"));
    }
}
