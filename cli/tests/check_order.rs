//! The binary on real directories: exit codes, the table, the commands, the errors.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A folder with directories below it.
struct Tree(TempDir);

impl Tree {
    /// Files by their paths; a path that ends in `/` is an empty directory.
    fn new(files: &[(&str, &str)]) -> Tree {
        let tree = Tree(tempfile::tempdir().unwrap());
        for (path, content) in files {
            let path = tree.path().join(path);
            if path.to_string_lossy().ends_with('/') {
                fs::create_dir_all(&path).unwrap();
                continue;
            }
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        tree
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs the binary there.
    fn check(&self, arguments: &[&str]) -> Result {
        let mut command = Command::new(env!("CARGO_BIN_EXE_belay"));
        let output = command
            .arg("check-order")
            .args(arguments)
            .current_dir(self.path())
            .output()
            .unwrap();
        Result::from(output)
    }
}

#[derive(Debug)]
struct Result {
    code: Option<i32>,
    out: String,
    error: String,
}

impl From<Output> for Result {
    fn from(output: Output) -> Result {
        Result {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            error: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

const LATE: [(&str, &str); 5] = [
    ("base/1_a.sql", "SELECT 1"),
    ("base/3_c.sql", "SELECT 3"),
    ("head/1_a.sql", "SELECT 1"),
    ("head/2_b.sql", "SELECT 2"),
    ("head/3_c.sql", "SELECT 3"),
];

#[test]
fn a_head_that_follows_base_exits_with_0() {
    let tree = Tree::new(&[
        ("base/1_a.sql", "SELECT 1"),
        ("base/README.md", "no migration"),
        ("head/1_a.sql", "SELECT 1; -- one"),
        ("head/2_b.sql", "SELECT 2"),
    ]);
    let result = tree.check(&["base", "head"]);
    assert_eq!(result.code, Some(0), "{result:?}");
    assert_eq!(result.out, "head follows base\n");
    assert_eq!(result.error, "");
}

#[test]
fn a_late_one_exits_with_1_and_prints_a_table_and_the_command_that_renames_it() {
    let result = Tree::new(&LATE).check(&["base", "head"]);
    assert_eq!(result.code, Some(1), "{result:?}");
    assert_eq!(
        result.out,
        "name  problem  suggested name  detail\n\
         2_b   late     4_b             sorts before \"3_c\", the newest of base\n\
         \n\
         git mv head/2_b.sql head/4_b.sql\n"
    );
}

#[test]
fn after_the_renames_nothing_is_found() {
    for late in [
        vec![
            ("head/2_b.up.sql", "SELECT 2"),
            ("head/2_b.down.sql", "-- nothing"),
        ],
        vec![
            ("head/2_b/up.sql", "SELECT 2"),
            ("head/2_b/down.sql", "SELECT 3"),
            ("head/2_b/metadata.toml", ""),
        ],
        vec![("head/2 b's.sql", "SELECT 2"), ("head/2_c.SQL", "SELECT 3")],
    ] {
        let sound = LATE
            .iter()
            .copied()
            .filter(|(path, _)| *path != "head/2_b.sql");
        let files: Vec<_> = sound.chain(late).collect();
        let tree = Tree::new(&files);
        let result = tree.check(&["base", "head"]);
        assert_eq!(result.code, Some(1), "{result:?}");
        // The commands as they stand, in a repository.
        let (_, commands) = result.out.split_once("\n\n").unwrap();
        let script = format!(
            "git init -q . && git add . && {}",
            commands.trim_end().replace('\n', " && ")
        );
        let mut shell = Command::new("sh");
        // A hook of git's would have them name the repository that it runs in.
        for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            shell.env_remove(variable);
        }
        let shell = shell
            .args(["-c", &script])
            .current_dir(tree.path())
            .output();
        let shell = Result::from(shell.unwrap());
        assert_eq!(shell.code, Some(0), "{shell:?}");
        let result = tree.check(&["base", "head"]);
        assert_eq!(result.code, Some(0), "{result:?}");
    }
}

#[test]
fn what_is_changed_or_missing_exits_with_1_and_has_no_command() {
    let tree = Tree::new(&[
        ("base/1_a.sql", "SELECT 1"),
        ("base/2_b.sql", "SELECT 2"),
        ("head/1_a.sql", "SELECT 10"),
    ]);
    let result = tree.check(&["base", "head"]);
    assert_eq!(result.code, Some(1), "{result:?}");
    assert_eq!(
        result.out,
        "name  problem  suggested name  detail\n\
         1_a   changed                  the up differs from that of base\n\
         2_b   missing                  base has it, head does not\n"
    );
}

#[test]
fn a_base_without_migrations_is_followed_by_anything() {
    let tree = Tree::new(&[("base/", ""), ("head/1_a.sql", "SELECT 1")]);
    assert_eq!(tree.check(&["base", "head"]).code, Some(0));
}

#[test]
fn the_options_choose_the_naming_and_the_release() {
    let tree = Tree::new(&[
        ("base/1.0.0_01_a.sql", "SELECT 1"),
        ("base/1.0.0_52_post_c.sql", "SELECT 3"),
        ("head/1.0.0_01_a.sql", "SELECT 1"),
        ("head/1.0.0_51_post_b.sql", "SELECT 2"),
        ("head/1.0.0_52_post_c.sql", "SELECT 3"),
    ]);
    let result = tree.check(&["base", "head", "--release", "1.1.0"]);
    assert!(result.out.contains(" 1.1.0_50_post_b "), "{result:?}");
    let result = tree.check(&["base", "head", "--naming", "release"]);
    assert!(result.out.contains(" 1.0.0_53_post_b "), "{result:?}");
}

#[test]
fn footprints_clear_what_touches_nothing_that_came_later() {
    let mut files = LATE.to_vec();
    files.push((
        "apart.json",
        r#"{"2_b": {"defines": ["relation t"]}, "3_c": {"defines": ["relation u"]}}"#,
    ));
    files.push((
        "same.json",
        r#"{"2_b": {"reads": ["relation t"]}, "3_c": {"defines": ["relation t"]}}"#,
    ));
    let tree = Tree::new(&files);
    let result = tree.check(&["base", "head", "--footprints", "apart.json"]);
    assert_eq!(result.code, Some(0), "{result:?}");
    let result = tree.check(&["base", "head", "--footprints", "same.json"]);
    assert_eq!(result.code, Some(1), "{result:?}");
    let detail = "\"2_b\" reads relation t, which \"3_c\" defines";
    assert!(result.out.contains(detail), "{result:?}");
}

#[test]
fn what_cannot_be_read_exits_with_2_and_says_which_file_of_which_side() {
    let mut files = LATE.to_vec();
    files.extend([
        ("broken/1_a.sql", "SELECT '"),
        ("stray/sub/x.sql", "SELECT 1"),
        ("empty/", ""),
        ("no.json", "{"),
        ("other.json", r#"{"2_b": {"read": []}}"#),
    ]);
    let tree = Tree::new(&files);
    for (arguments, expected) in [
        (&["nowhere", "head"][..], "nowhere: "),
        (&["base", "base/1_a.sql"], "base/1_a.sql: "),
        (&["broken", "head"], "base: file \"1_a.sql\", line 1: "),
        (&["base", "broken"], "head: file \"1_a.sql\", line 1: "),
        (
            &["base", "stray"],
            "head: file \"sub/x.sql\" stands in a subfolder",
        ),
        (&["empty", "empty"], "neither base nor head has a migration"),
        (
            &["base", "head", "--naming", "release"],
            "base: file \"1_a.sql\": migration name",
        ),
        (
            &["base", "head", "--release", "1.0.0"],
            "a release is given",
        ),
        (
            &["base", "head", "--footprints", "none.json"],
            "none.json: ",
        ),
        (&["base", "head", "--footprints", "no.json"], "no.json: "),
        (
            &["base", "head", "--footprints", "other.json"],
            "other.json: the footprint of \"2_b\"",
        ),
    ] {
        let result = tree.check(arguments);
        assert_eq!(result.code, Some(2), "{arguments:?}: {result:?}");
        assert!(
            result.error.starts_with(&format!("error: {expected}")),
            "{result:?}"
        );
        assert!(result.error.contains("\nhint: "), "{result:?}");
        assert_eq!(result.out, "");
    }
}

#[test]
fn arguments_that_are_none_exit_with_2() {
    let tree = Tree::new(&LATE);
    for arguments in [
        &["base"][..],
        &["base", "head", "more"],
        &["base", "head", "--naming", "none"],
        &["base", "head", "--release", "1.0"],
        &["base", "head", "--unknown"],
    ] {
        let result = tree.check(arguments);
        assert_eq!(result.code, Some(2), "{result:?}");
        assert!(result.error.starts_with("error: "), "{result:?}");
    }
}
