//! Files and directories that are their owner's alone, and never another file by way of a link.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

fn is_own(found: &Metadata) -> io::Result<()> {
    if found.uid() == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    Err(refused("it belongs to somebody else"))
}

/// A directory, made where it is not there.
///
/// # Errors
/// It cannot be made; or as [`own_dir`].
pub fn dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    own_dir(path)
}

/// A directory that is there. In one that others may write to nothing is believed; one that they may only read is
/// closed to them.
///
/// # Errors
/// It is not there, a link or no directory, somebody else's, or open to others.
pub fn own_dir(path: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    if !found.is_dir() {
        return Err(refused("it is a link, or no directory"));
    }
    is_own(&found)?;
    match found.mode() & 0o077 {
        0 => Ok(()),
        open if open & 0o022 == 0 => fs::set_permissions(path, Permissions::from_mode(0o700)),
        _ => Err(refused("others may write to it; empty it and 'chmod 700' it")),
    }
}

/// A new file.
///
/// # Errors
/// It is there, be it as a link, or cannot be made.
pub fn make(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// A file that is there, to be read.
///
/// # Errors
/// It is not there, a link, no file, somebody else's, or open to others.
pub fn open(path: &Path) -> io::Result<File> {
    checked(path, OpenOptions::new().read(true))
}

fn checked(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // Nor waiting for whoever has the other end of a pipe.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = options.custom_flags(flags).open(path).map_err(|error| {
        let is_link = error.raw_os_error() == Some(Errno::LOOP.raw_os_error());
        if is_link { refused("it is a link") } else { error }
    })?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(refused("it is no file"));
    }
    is_own(&found)?;
    if found.mode() & 0o077 != 0 {
        return Err(refused("others may read it; 'chmod 600' it"));
    }
    Ok(file)
}

/// A lock or a mark, a file whose content is nothing: made where it is not there, left as it is where it is.
///
/// # Errors
/// As [`make`] and [`open`].
pub fn touch(path: &Path) -> io::Result<File> {
    match make(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            checked(path, OpenOptions::new().write(true))
        }
        made => made,
    }
}

/// What is in a file.
///
/// # Errors
/// As [`open`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a file so that it is there whole, or not at all, in the place of one that is there.
///
/// # Errors
/// In its place is a link, or no file; or as `write`.
pub fn whole<T, E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<T, E>,
) -> Result<T, E> {
    if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(refused("it is a link, or no file").into());
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.half", uuid::Uuid::new_v4()));
    let half = path.with_file_name(name);
    let mut file = make(&half)?;
    let written = write(&mut file).and_then(|written| {
        file.sync_data()?;
        fs::rename(&half, path)?;
        Ok(written)
    });
    if written.is_err() {
        // What there is of it would only take room on a disk that may be full.
        let _ = fs::remove_file(&half);
    }
    written
}
