//! Names for containers that nobody named.

use rustix::io::Errno;

use super::Name;
use super::id::fill_random;

const ADJECTIVES: [&str; 64] = [
    "able", "agile", "alert", "amber", "ample", "azure", "bold", "brave", "bright", "brisk",
    "busy", "calm", "candid", "cheerful", "chirpy", "clever", "cosy", "crisp", "curious", "dapper",
    "deft", "downy", "eager", "early", "fair", "fluffy", "fond", "frank", "gentle", "glad",
    "golden", "handy", "hardy", "hazel", "honest", "jolly", "keen", "kind", "lively", "lucky",
    "mellow", "merry", "mighty", "neat", "nimble", "noble", "patient", "plucky", "proud", "quick",
    "quiet", "rapid", "russet", "sleek", "smart", "snug", "speckled", "spry", "steady", "sunny",
    "swift", "tidy", "warm", "witty",
];

const BIRDS: [&str; 64] = [
    "avocet",
    "bantam",
    "bittern",
    "bluetit",
    "bulbul",
    "bunting",
    "bustard",
    "buzzard",
    "chough",
    "cockerel",
    "coot",
    "cormorant",
    "crane",
    "cuckoo",
    "curlew",
    "dipper",
    "dove",
    "duck",
    "dunlin",
    "egret",
    "eider",
    "falcon",
    "finch",
    "gannet",
    "godwit",
    "goose",
    "goshawk",
    "grebe",
    "grouse",
    "gull",
    "heron",
    "hoopoe",
    "ibis",
    "jackdaw",
    "jay",
    "kestrel",
    "kite",
    "lapwing",
    "lark",
    "linnet",
    "magpie",
    "martin",
    "merlin",
    "nuthatch",
    "osprey",
    "owl",
    "partridge",
    "petrel",
    "pigeon",
    "pintail",
    "plover",
    "puffin",
    "pullet",
    "quail",
    "raven",
    "robin",
    "rooster",
    "siskin",
    "starling",
    "swallow",
    "teal",
    "thrush",
    "wagtail",
    "wren",
];

impl Name {
    /// A name out of two words, `brisk_wren`, one of 4,096: on [`super::StoreError::NameInUse`]
    /// take another.
    ///
    /// # Errors
    /// See [`super::ContainerId::random`].
    pub fn random() -> Result<Self, Errno> {
        let mut dice = [0_u8; 2];
        fill_random(&mut dice)?;
        // 256 is a multiple of 64: every word is as likely as any other.
        let pick = |words: &[&'static str; 64], die: u8| words[usize::from(die) % words.len()];
        Ok(Self::known_good(
            pick(&ADJECTIVES, dice[0]),
            pick(&BIRDS, dice[1]),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_words_make_valid_names_and_none_is_there_twice() {
        for words in [ADJECTIVES, BIRDS] {
            let unique: std::collections::BTreeSet<_> = words.iter().collect();
            assert_eq!(unique.len(), words.len());
            assert!(
                words
                    .iter()
                    .all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()))
            );
        }
        assert!(Name::parse(Name::random().unwrap().as_str()).is_ok());
    }
}
