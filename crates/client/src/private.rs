//! Files and directories private to their owner, never accessed through a link.

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
    Err(refused("owned by another user"))
}

/// Opens a directory, created if missing.
///
/// # Errors
/// It cannot be created; otherwise as [`own_dir`].
pub fn dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    own_dir(path)
}

/// Checks an existing directory. One that others can write to is not trusted; one that they can
/// only read is made private.
///
/// # Errors
/// It does not exist, is a link or not a directory, belongs to another user, or is open to others.
pub fn own_dir(path: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    if !found.is_dir() {
        return Err(refused("a symbolic link, or not a directory"));
    }
    is_own(&found)?;
    match found.mode() & 0o077 {
        0 => Ok(()),
        open if open & 0o022 == 0 => fs::set_permissions(path, Permissions::from_mode(0o700)),
        _ => Err(refused("writable by other users; empty it and run 'chmod 700' on it")),
    }
}

/// Creates a new file.
///
/// # Errors
/// It exists, even as a link, or cannot be created.
pub fn make(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Opens an existing file for reading.
///
/// # Errors
/// It does not exist, is a link or not a file, belongs to another user, or is open to others.
pub fn open(path: &Path) -> io::Result<File> {
    checked(path, OpenOptions::new().read(true))
}

fn checked(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // Non-blocking, so that opening a pipe does not wait for its other end.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = options.custom_flags(flags).open(path).map_err(|error| {
        let is_link = error.raw_os_error() == Some(Errno::LOOP.raw_os_error());
        if is_link { refused("a symbolic link") } else { error }
    })?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(refused("not a regular file"));
    }
    is_own(&found)?;
    if found.mode() & 0o077 != 0 {
        return Err(refused("readable by other users; run 'chmod 600' on it"));
    }
    Ok(file)
}

/// Opens a lock or marker file, which has no contents; created if missing.
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

/// The contents of a file.
///
/// # Errors
/// As [`open`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a file atomically, replacing an existing one.
///
/// # Errors
/// It is a link, or not a file; otherwise as `write`.
pub fn whole<T, E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<T, E>,
) -> Result<T, E> {
    if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(refused("a symbolic link, or not a regular file").into());
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
        // A partial file would only take up room on a disk that may be full.
        let _ = fs::remove_file(&half);
    }
    written
}
