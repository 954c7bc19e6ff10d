//! `devmason-server passwd NAME`: makes a user, or sets a user's password.

use std::io::{IsTerminal, Write};

use devmason_domain::{Password, PasswordHash, Username};
use devmason_repository::{NewAccount, Options, Updated, open};

use crate::settings::Settings;

pub(crate) fn run(settings: &Settings, username: &str) -> Result<(), String> {
    let username: Username =
        username.parse().map_err(|error: devmason_domain::Invalid| error.to_string())?;
    let password = Password::new(read(&username)?).map_err(|error| error.to_string())?;
    let password_hash = password.hash(PasswordHash::COST).map_err(|error| error.to_string())?;

    let repository = open(&settings.database_url, &Options { pool_size: 1, ..Options::default() })
        .map_err(|error| error.chain())?;
    let new = NewAccount { username: username.clone(), password_hash: password_hash.clone() };
    let done = match repository.user_create(&new).map_err(|error| error.chain())? {
        Some(_) => "created",
        None => {
            let known = repository.user_find(&username).map_err(|error| error.chain())?;
            let id = known.ok_or("the user was deleted meanwhile")?.id;
            match repository
                .user_set_password(id, &password_hash, None)
                .map_err(|error| error.chain())?
            {
                Updated::Done(_) => "given a new password",
                Updated::Stale | Updated::Gone => {
                    return Err("the user was deleted meanwhile".to_owned());
                }
            }
        }
    };
    writeln!(std::io::stdout(), "{username}: {done}").map_err(|error| error.to_string())
}

/// From the terminal, asked twice and not shown; else the first line of standard input.
fn read(username: &Username) -> Result<String, String> {
    if !std::io::stdin().is_terminal() {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map_err(|error| error.to_string())?;
        return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
    }
    let ask =
        |prompt: String| rpassword::prompt_password(prompt).map_err(|error| error.to_string());
    let password = ask(format!("Password for {username}: "))?;
    if ask("Once more: ".to_owned())? != password {
        return Err("the two differ".to_owned());
    }
    Ok(password)
}
