//! `bothways check --as-user`: the user that a service will run as, and what that user may do with what the
//! configuration names.
//!
//! root may read everything, so a check made as root says little about a service that is not. Credentials of
//! Linux belong to threads: the check is made on one that has given up those of root for those of the user,
//! and the kernel decides as it will then.

use std::path::{Path, PathBuf};
use std::thread;
use std::{fmt, fs, io};

use bothways_config::{Config, FixedBody, KeyPath, OriginTarget, Place, Reference, Sink};
use bothways_state::files;
use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::app::AppError;

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServiceUser {
    name: String,
    uid: u32,
    /// The user's own first.
    gids: Vec<u32>,
}

impl ServiceUser {
    /// Finds a user by name in the files of this machine, or takes numbers: `UID:GID`, further groups after
    /// commas.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn find(name: &str) -> Result<Self, String> {
        let numbers = || Self::of_numbers(name);
        let users = system_file("/etc/passwd")?;
        let Some((uid, gid)) = user_in(&users, name) else {
            return numbers().ok_or_else(|| {
                format!("--as-user: no user is named {name:?} in /etc/passwd; name one, or give UID:GID,GID…")
            });
        };
        let mut gids = vec![gid];
        gids.extend(groups_in(&system_file("/etc/group")?, name).filter(|other| *other != gid));
        Ok(Self {
            name: name.to_owned(),
            uid,
            gids,
        })
    }

    fn of_numbers(text: &str) -> Option<Self> {
        let (uid, gids) = text.split_once(':')?;
        let gids: Result<Vec<u32>, _> = gids.split(',').map(str::parse).collect();
        Some(Self {
            name: text.to_owned(),
            uid: uid.parse().ok()?,
            gids: gids.ok()?,
        })
    }

    /// Does `work` on a thread that has this user's rights and no others.
    ///
    /// # Errors
    /// Only root may take another user's rights; or `work` has failed.
    pub(super) fn work<T: Send>(
        &self,
        work: impl FnOnce() -> Result<T, AppError> + Send,
    ) -> Result<T, AppError> {
        let working = || {
            self.become_it().map_err(|error| {
                let name = &self.name;
                AppError::Setup(format!(
                    "--as-user: cannot take the rights of {name}: {error}; run this as root"
                ))
            })?;
            work()
        };
        let done = thread::scope(|scope| scope.spawn(working).join());
        done.unwrap_or_else(|_| {
            Err(AppError::Setup(
                "the check panicked; please report this".to_owned(),
            ))
        })
    }

    /// Makes this thread alone run as the user. The order matters: without root's user id, groups could not
    /// be set.
    fn become_it(&self) -> io::Result<()> {
        let gids: Vec<Gid> = self.gids.iter().map(|gid| Gid::from_raw(*gid)).collect();
        let (uid, gid) = (Uid::from_raw(self.uid), gids.first().copied());
        if geteuid() == uid && !uid.is_root() {
            return Ok(());
        }
        set_thread_groups(&gids)?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)?;
        Ok(())
    }
}

/// True if this process may read what others may not.
pub(super) fn is_root() -> bool {
    geteuid().is_root()
}

/// Every file of `config` that cannot be read by whoever asks, in words.
pub(super) fn unreadable(config: &Config) -> Vec<String> {
    let readable = |(path, key): (&Path, &KeyPath)| match files::read_beginning(path, 0) {
        Ok(_) => None,
        Err(error) => Some(fault(
            config,
            key,
            &format!("cannot read {}: {error}", path.display()),
        )),
    };
    named_files(config).into_iter().filter_map(readable).collect()
}

/// Every place of `config` where whoever asks could not write what a server has to, in words.
pub(super) fn unwritable(config: &Config) -> Vec<String> {
    let mut faults = Vec::new();
    if let Some(control) = &config.control {
        let made = writable_folder(&control.socket.path);
        faults.extend(made.err().map(|why| {
            fault(
                config,
                &control.socket.key,
                &format!("cannot make the socket: {why}"),
            )
        }));
    }
    if let Sink::File(file) = &config.logs.connection.sink {
        faults.extend(
            appendable(&file.path)
                .err()
                .map(|why| fault(config, &file.key, &why)),
        );
    }
    faults
}

/// Paths of the files that a snapshot is loaded from, and the keys that name them.
fn named_files(config: &Config) -> Vec<(&Path, &KeyPath)> {
    let mut named: Vec<&Reference> = Vec::new();
    for store in &config.trust_stores {
        named.push(&store.ca_bundle);
        named.extend(store.revocations.iter().map(|list| &list.file));
    }
    for distribution in &config.distributions {
        named.extend([&distribution.certificate, &distribution.private_key]);
        for origin in &distribution.origins {
            if let OriginTarget::Fixed(response) = &origin.target
                && let FixedBody::File(file) = &response.body
            {
                named.push(file);
            }
        }
    }
    let functions = config.functions.connection.iter().chain(&config.functions.viewer);
    named.extend(functions.map(|function| &function.code));
    let imports = config.key_value_stores.iter().map(|store| &store.import);
    let named = named.into_iter().map(|reference| {
        let Place::File(path) = &reference.place;
        (&**path, &reference.key)
    });
    named.chain(imports.map(|it| (&*it.path, &it.key))).collect()
}

fn fault(config: &Config, key: &KeyPath, why: &str) -> String {
    let remedy = "make it, let the service's user reach it, or name another";
    config.source.error(key, why, remedy).to_string()
}

fn appendable(log: &Path) -> Result<(), String> {
    match fs::metadata(log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            writable_folder(log).map_err(|why| format!("cannot make the log: {why}"))
        }
        Err(error) => Err(format!("cannot append to {}: {error}", log.display())),
        Ok(_) => {
            may(log, Access::WRITE_OK).map_err(|error| format!("cannot append to {}: {error}", log.display()))
        }
    }
}

/// Checks that a file can be made in the folder of `file`. The error says why not.
fn writable_folder(file: &Path) -> Result<(), String> {
    let folder: PathBuf = match file.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let told = |error: &dyn fmt::Display| format!("the folder {}: {error}", folder.display());
    match fs::metadata(&folder) {
        Err(error) => Err(told(&error)),
        Ok(found) if !found.is_dir() => Err(told(&"it is none")),
        Ok(_) => may(&folder, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| told(&error)),
    }
}

fn may(path: &Path, access: Access) -> io::Result<()> {
    Ok(accessat(CWD, path, access, AtFlags::EACCESS)?)
}

fn system_file(path: &str) -> Result<String, String> {
    let read = files::read_text(Path::new(path), SYSTEM_FILE_BYTES_MAX);
    read.map_err(|error| format!("--as-user: cannot read {path}: {error}"))
}

/// passwd(5): name, password, user's number, group's number.
fn user_in(users: &str, name: &str) -> Option<(u32, u32)> {
    let mut lines = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.find_map(|fields| match *fields.as_slice() {
        [found, _, uid, gid, ..] if found == name => Some((uid.parse().ok()?, gid.parse().ok()?)),
        _ => None,
    })
}

/// group(5): name, password, number, members.
fn groups_in<'a>(groups: &'a str, user: &'a str) -> impl Iterator<Item = u32> + 'a {
    let of_line = move |line: &str| match *line.split(':').collect::<Vec<_>>().as_slice() {
        [_, _, gid, members] if members.split(',').any(|member| member == user) => gid.parse().ok(),
        _ => None,
    };
    groups.lines().filter_map(of_line)
}

const SYSTEM_FILE_BYTES_MAX: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name_with_all_groups() {
        let users = "root:x:0:0:root:/root:/bin/sh\nedge:x:990:991::/:/bin/false\nbroken\n";
        assert_eq!(user_in(users, "edge"), Some((990, 991)));
        assert_eq!(user_in(users, "edg"), None);
        let groups = "edge:x:991:\ntls:x:50:www,edge\nlogs:x:51:edge2\nmore:x:52:edge\n";
        assert_eq!(groups_in(groups, "edge").collect::<Vec<_>>(), [50, 52]);
    }

    #[test]
    fn a_user_may_be_given_by_numbers() {
        let user = ServiceUser::of_numbers("12:34,56").unwrap();
        assert_eq!((user.uid, user.gids), (12, vec![34, 56]));
        for bad in ["edge", "12", "12:", ":1", "1:x", "-1:2", "1:4294967296"] {
            assert_eq!(ServiceUser::of_numbers(bad), None, "{bad}");
        }
        assert!(ServiceUser::find("no such user").unwrap_err().contains("UID:GID"));
    }
}
