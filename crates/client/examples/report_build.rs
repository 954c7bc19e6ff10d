//! Reports a build to a server, step by step, and reads it back.
//!
//! `cargo run -p devmason-client --example report_build -- http://127.0.0.1:8080`
#![expect(clippy::print_stdout, reason = "it is what the program is for")]

use devmason_client::{Client, Credentials, Place, Report, Step, blocking, fresh_id};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
    let credentials = Credentials { user: "example".to_owned(), password: "secret".to_owned() };
    let client = blocking::Client::new(Client::new(&server, Some(credentials))?)?;
    let project = "example".parse()?;
    client.put_project(&project, "An example")?;

    let record = Place::detect().record();
    let report = Report { incremental: true, client: record, ..Report::default() };
    let progress = client.report(&project, &fresh_id().parse()?, &report)?;
    for name in ["compile", "test"] {
        let output = format!("{name}: done\n");
        let step = Step { name: name.to_owned(), success: true, output, ..Step::default() };
        client.step(&progress, &step)?;
    }
    client.end(&progress, None)?;

    let project = client.project(&project)?;
    let builds = client.follow(&project, "build-list")?.list("builds");
    let newest = builds.first().ok_or("the build is not in the list")?;
    let build = client.follow(newest, "self")?;
    println!(
        "{}: {} steps, success {}",
        build.text("id"),
        build.list("results").len(),
        build.0["success"]
    );
    Ok(())
}
