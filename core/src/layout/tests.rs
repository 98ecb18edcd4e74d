mod files;
mod texts;

use super::*;

fn read(files: &[(&str, &str)]) -> Result<LoadedSet, LayoutError> {
    let files: Vec<SourceFile<'_>> = files
        .iter()
        .map(|(path, content)| SourceFile {
            path,
            content: content.as_bytes(),
        })
        .collect();
    read_files(&files)
}

fn one(files: &[(&str, &str)]) -> Definition {
    let set = read(files).unwrap();
    assert_eq!(set.migrations.len(), 1);
    set.migrations.into_iter().next().unwrap()
}
