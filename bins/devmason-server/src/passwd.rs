//! `devmason-server passwd NAME`: creates a user, or sets a user's password.

use std::io::{IsTerminal, Write};

use anyhow::{Context, Result, bail};
use devmason_domain::{Password, PasswordHash, Username};
use devmason_repository::{NewAccount, Options, Updated, open};

use crate::settings::Settings;

pub(crate) fn run(settings: &Settings, username: &str) -> Result<()> {
    let username: Username = username.parse()?;
    let password = Password::new(read(&username)?)?;
    let password_hash = password.hash(PasswordHash::COST)?;

    let repository = open(&settings.database_url, &Options { pool_size: 1, ..Options::default() })?;
    let new = NewAccount { username: username.clone(), password_hash: password_hash.clone() };
    let done = match repository.user_create(&new)? {
        Some(_) => "created",
        None => {
            let known = repository.user_find(&username)?;
            let id = known.context("the user was deleted in the meantime")?.id;
            match repository.user_set_password(id, &password_hash, None)? {
                Updated::Done(_) => "password changed",
                Updated::Stale | Updated::Gone => {
                    bail!("the user was deleted in the meantime");
                }
            }
        }
    };
    Ok(writeln!(std::io::stdout(), "{username}: {done}")?)
}

/// Reads it from the terminal, twice and hidden; otherwise from the first line of standard input.
fn read(username: &Username) -> Result<String> {
    if !std::io::stdin().is_terminal() {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
        return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
    }
    let ask = |prompt: String| rpassword::prompt_password(prompt);
    let password = ask(format!("Password for {username}: "))?;
    if ask("Repeat the password: ".to_owned())? != password {
        bail!("the passwords do not match");
    }
    Ok(password)
}
