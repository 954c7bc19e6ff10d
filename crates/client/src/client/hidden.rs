//! Texts about connections, without credentials.

/// An error with its causes: reqwest's own message omits them.
pub(super) fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    without_credentials(&text)
}

/// Removes the credentials of URLs from a text: a proxy's, or those in an invalid server URL.
pub(super) fn without_credentials(text: &str) -> String {
    let (mut cut, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("://") {
        let (before, behind) = rest.split_at(at + 3);
        cut.push_str(before);
        let is_end = |c: char| c.is_whitespace() || matches!(c, '\'' | '"' | ')' | '>');
        let (url, more) = behind.split_at(behind.find(is_end).unwrap_or(behind.len()));
        cut.push_str(url.rsplit_once('@').map_or(url, |(_, host)| host));
        rest = more;
    }
    cut + rest
}
