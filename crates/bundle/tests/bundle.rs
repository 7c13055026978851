//! Round trips, and what happens to damaged bundles.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bundle::{Bundle, EntryKind, Error, Manifest, WriteOptions, Writer};
use proptest::prelude::*;

const FAST: WriteOptions = WriteOptions { level: 3, block_size: 4096 };

fn manifest() -> Manifest {
    Manifest {
        postgres_version: "18.6".into(),
        target: "x86_64-unknown-linux-gnu".into(),
        checksums: BTreeMap::from([("source".into(), "5556".into())]),
        metadata: BTreeMap::from([("encoding".into(), "UTF8".into())]),
    }
}

/// A bundle of several blocks and groups, with duplicates, an empty file, and a file larger than a
/// block.
fn sample() -> Vec<u8> {
    let mut writer = Writer::new(manifest());
    for number in 0..40u32 {
        let text = format!("-- extension {number}\n").repeat(20);
        writer.add_file(&format!("share/extension/e{number}.sql"), 0o644, "extension", text.into_bytes()).unwrap();
    }
    writer.add_file("share/postgres.bki", 0o644, "top", vec![b'x'; 10_000]).unwrap();
    writer.add_file("share/copy.bki", 0o600, "other", vec![b'x'; 10_000]).unwrap();
    writer.add_file("bin/postgres", 0o755, "top", Vec::new()).unwrap();
    writer.add_directory("share/empty", 0o700).unwrap();
    writer.finish(&FAST).unwrap()
}

#[test]
fn lists_and_reads_single_files() {
    let bundle = Bundle::open(sample()).unwrap();
    assert_eq!(*bundle.manifest(), manifest());
    assert_eq!(&*bundle.read_path("share/extension/e7.sql").unwrap(), "-- extension 7\n".repeat(20).as_bytes());
    assert_eq!(bundle.read_path("bin/postgres").unwrap().len(), 0);
    assert_eq!(bundle.get("bin/postgres").unwrap().mode, 0o755);
    assert_eq!(bundle.get("share/empty").unwrap().kind, EntryKind::Directory);
    let children: Vec<_> = bundle.children("share").map(|entry| entry.path).collect();
    assert_eq!(children, ["share/copy.bki", "share/empty", "share/extension", "share/postgres.bki"]);
    let top: Vec<_> = bundle.children("").map(|entry| entry.path).collect();
    assert_eq!(top, ["bin", "share"]);
    assert_eq!(bundle.below("share/extension").len(), 40);
    assert!(matches!(bundle.read_path("share/extension"), Err(Error::NotFound(_))));
    assert!(matches!(bundle.read_path("share/none"), Err(Error::NotFound(_))));
    bundle.verify().unwrap();
}

#[test]
fn a_shared_name_prefix_is_not_a_directory() {
    let mut writer = Writer::new(Manifest::default());
    for path in ["a/x", "a-b", "a0", "a/y/z"] {
        writer.add_file(path, 0o644, "", path.as_bytes()).unwrap();
    }
    let bundle = Bundle::open(writer.finish(&FAST).unwrap()).unwrap();
    let below: Vec<_> = bundle.below("a").map(|entry| entry.path).collect();
    assert_eq!(below, ["a/x", "a/y", "a/y/z"]);
}

#[test]
fn equal_contents_are_stored_once() {
    let noise: Vec<u8> = (0..50_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let size = |copies: usize| {
        let mut writer = Writer::new(Manifest::default());
        for copy in 0..copies {
            writer.add_file(&format!("base/{copy}/1259"), 0o600, "base", noise.clone()).unwrap();
        }
        let bytes = writer.finish(&FAST).unwrap();
        let bundle = Bundle::open(bytes.clone()).unwrap();
        for copy in 0..copies {
            assert_eq!(*bundle.read_path(&format!("base/{copy}/1259")).unwrap(), *noise);
        }
        bytes.len()
    };
    assert!(size(10) < size(1) + 1000);
}

#[test]
fn refuses_bad_paths() {
    let mut writer = Writer::new(Manifest::default());
    for path in ["", "/etc/passwd", "a/../b", "./a", "a//b", "a/", "a\0b"] {
        assert!(matches!(writer.add_file(path, 0o644, "", Vec::new()), Err(Error::Path { .. })), "{path:?}");
    }
    writer.add_file("a", 0o644, "", Vec::new()).unwrap();
    assert!(writer.add_file("a", 0o644, "", Vec::new()).is_err(), "added twice");
    assert!(writer.add_file("a/b", 0o644, "", Vec::new()).is_err(), "a file as a directory");
    assert!(writer.add_directory("a", 0o755).is_err(), "a directory in a file's place");
}

#[test]
fn truncation_anywhere_is_noticed_at_once() {
    let bytes = sample();
    for len in 0..bytes.len() {
        match Bundle::open(bytes[..len].to_vec()) {
            Err(Error::Truncated { found, .. }) => assert_eq!(found, len as u64),
            Err(other) => panic!("{len} of {} bytes: {other}", bytes.len()),
            Ok(_) => panic!("{len} of {} bytes were accepted", bytes.len()),
        }
    }
}

#[test]
fn longer_than_it_says_is_corrupt() {
    let mut bytes = sample();
    bytes.push(0);
    assert!(matches!(Bundle::open(bytes), Err(Error::Corrupt(_))));
}

#[test]
fn other_files_and_versions_are_named() {
    assert!(matches!(Bundle::open(b"\x7fELF\x02\x01\x01".as_slice()), Err(Error::NotABundle { .. })));
    let mut bytes = sample();
    bytes[8] = 9;
    let error = Bundle::open(bytes).err().unwrap();
    assert!(matches!(error, Error::Version { found: 9, .. }), "{error}");
}

#[test]
fn packs_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("base/1")).unwrap();
    std::fs::write(dir.path().join("base/1/PG_VERSION"), "18\n").unwrap();
    std::fs::write(dir.path().join("PG_VERSION"), "18\n").unwrap();
    let mut writer = Writer::new(manifest());
    writer.add_tree("template", dir.path(), &|path| path.split('/').next().unwrap_or_default().into()).unwrap();
    let bundle = Bundle::open(Arc::<[u8]>::from(writer.finish(&FAST).unwrap())).unwrap();
    let seen = Mutex::new(Vec::new());
    bundle
        .unpack(
            1,
            |path| path.starts_with("template/"),
            |entry, content| {
                seen.lock().unwrap().push((entry.path.to_owned(), content.to_vec()));
                Ok::<_, Error>(())
            },
        )
        .unwrap();
    let expected = [
        ("template/base", ""),
        ("template/base/1", ""),
        ("template/PG_VERSION", "18\n"),
        ("template/base/1/PG_VERSION", "18\n"),
    ];
    assert_eq!(
        seen.into_inner().unwrap(),
        expected.map(|(path, content)| (path.to_owned(), content.as_bytes().to_vec()))
    );
}

#[cfg(unix)]
#[test]
fn a_symlink_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
    let error = Writer::new(manifest()).add_tree("t", dir.path(), &|_| String::new()).unwrap_err();
    assert!(error.to_string().contains("t/link"), "{error}");
}

type Tree = BTreeMap<String, (u32, u8, Vec<u8>)>;

fn tree() -> impl Strategy<Value = Tree> {
    let name = "[a-c]{1,2}(/[a-c.-]{1,3}x){0,3}";
    let content = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        (any::<u8>(), 0usize..3000).prop_map(|(byte, len)| vec![byte; len]),
    ];
    proptest::collection::btree_map(name, (0u32..0o1000, 0u8..3, content), 0..40)
}

fn write(tree: &Tree, block_size: usize) -> (Vec<u8>, Tree) {
    let mut writer = Writer::new(manifest());
    let mut added = Tree::new();
    for (path, (mode, group, content)) in tree {
        // a path that is also a parent of another one is refused; leave it out
        if writer.add_file(path, *mode, &group.to_string(), content.clone()).is_ok() {
            added.insert(path.clone(), (*mode, *group, content.clone()));
        }
    }
    (writer.finish(&WriteOptions { level: 1, block_size }).unwrap(), added)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn round_trip(tree in tree(), block_size in 1usize..2000, threads in 1usize..4) {
        let (bytes, added) = write(&tree, block_size);
        let bundle = Bundle::open(bytes).unwrap();
        for (path, (mode, _, content)) in &added {
            prop_assert_eq!(bundle.get(path).unwrap().mode, *mode);
            prop_assert_eq!(&*bundle.read_path(path).unwrap(), &content[..]);
        }
        let unpacked = Mutex::new(BTreeMap::new());
        bundle.unpack(threads, |_| true, |entry, content| {
            if let EntryKind::File(file) = entry.kind {
                assert_eq!(file.size(), content.len() as u64);
                unpacked.lock().unwrap().insert(entry.path.to_owned(), content.to_vec());
            }
            Ok::<_, Error>(())
        }).unwrap();
        let expected: BTreeMap<_, _> = added.into_iter().map(|(path, (_, _, content))| (path, content)).collect();
        prop_assert_eq!(unpacked.into_inner().unwrap(), expected);
    }

    #[test]
    fn the_first_error_of_any_thread_ends_it(tree in tree(), block_size in 1usize..500, threads in 1usize..4) {
        let (bytes, added) = write(&tree, block_size);
        let result = Bundle::open(bytes).unwrap().unpack(threads, |_| true, |entry, _| match entry.kind {
            EntryKind::Directory => Ok(()),
            EntryKind::File(_) => Err(Error::NotFound(entry.path.into())),
        });
        prop_assert_eq!(result.is_err(), !added.is_empty());
    }

    #[test]
    fn damage_never_gives_wrong_bytes(tree in tree(), at in any::<prop::sample::Index>(), change in 1u8..) {
        let (mut bytes, added) = write(&tree, 500);
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        let Ok(bundle) = Bundle::open(bytes) else { return Ok(()) };
        for (path, (_, _, content)) in &added {
            if let Ok(read) = bundle.read_path(path) {
                prop_assert_eq!(&*read, &content[..], "byte {} changed", at);
            }
        }
    }
}
