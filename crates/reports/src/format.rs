//! The formats of reports.

/// A report format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// JUnit XML, from any tool.
    Junit,
    /// TAP 13 or 14, or KTAP.
    Tap,
    /// `go test -json`: one JSON line per event.
    Go,
    /// The text output of `go test`, with or without `-v`.
    GoText,
    /// The JSON of libtest or nextest: one line per event.
    Libtest,
    /// Common Test Report Format.
    Ctrf,
    /// TRX, Visual Studio's test results.
    Trx,
    /// xUnit.net's XML, version 2 or 3.
    Xunit,
    /// NUnit's XML, version 2 or 3.
    Nunit,
    /// CTest's Test.xml.
    Ctest,
    /// Jest's and Vitest's JSON.
    Jest,
    /// The JSON of Mocha's built-in reporter.
    Mocha,
    /// mochawesome's JSON.
    Mochawesome,
    /// Playwright's JSON.
    Playwright,
    /// Cucumber's JSON in all languages, and behave's.
    Cucumber,
    /// Cucumber messages: one JSON line each.
    CucumberMessages,
    /// Allure results: concatenated JSON documents, one per test.
    Allure,
    /// Robot Framework's output.xml.
    Robot,
    /// RSpec's JSON.
    Rspec,
    /// The JSON of pytest-json-report.
    Pytest,
    /// Subunit, version 2.
    Subunit,
    /// The events of `dart test` and `flutter test`: one JSON line each.
    Dart,
    /// Meson's testlog.json: one JSON line per test.
    Meson,
    /// GoogleTest's JSON.
    Gtest,
    /// Catch2's own XML.
    Catch2,
    /// Boost.Test's XML: log or report.
    Boost,
    /// CppUnit's XML.
    Cppunit,
    /// The XML of Check.
    Check,
    /// QtTest's XML.
    Qttest,
    /// TestNG's results.
    Testng,
    /// Failsafe's summary: a verdict without tests.
    Failsafe,
    /// Bazel's build events: one JSON line each.
    Bazel,
    /// Results of the Linux Test Project, as JSON or as text.
    Ltp,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 33] = [
        Self::Junit,
        Self::Tap,
        Self::Go,
        Self::GoText,
        Self::Libtest,
        Self::Ctrf,
        Self::Trx,
        Self::Xunit,
        Self::Nunit,
        Self::Ctest,
        Self::Jest,
        Self::Mocha,
        Self::Mochawesome,
        Self::Playwright,
        Self::Cucumber,
        Self::CucumberMessages,
        Self::Allure,
        Self::Robot,
        Self::Rspec,
        Self::Pytest,
        Self::Subunit,
        Self::Dart,
        Self::Meson,
        Self::Gtest,
        Self::Catch2,
        Self::Boost,
        Self::Cppunit,
        Self::Check,
        Self::Qttest,
        Self::Testng,
        Self::Failsafe,
        Self::Bazel,
        Self::Ltp,
    ];

    /// Its identifier.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Junit => "junit",
            Self::Tap => "tap",
            Self::Go => "go",
            Self::GoText => "go-text",
            Self::Libtest => "libtest",
            Self::Ctrf => "ctrf",
            Self::Trx => "trx",
            Self::Xunit => "xunit",
            Self::Nunit => "nunit",
            Self::Ctest => "ctest",
            Self::Jest => "jest",
            Self::Mocha => "mocha",
            Self::Mochawesome => "mochawesome",
            Self::Playwright => "playwright",
            Self::Cucumber => "cucumber",
            Self::CucumberMessages => "cucumber-messages",
            Self::Allure => "allure",
            Self::Robot => "robot",
            Self::Rspec => "rspec",
            Self::Pytest => "pytest",
            Self::Subunit => "subunit",
            Self::Dart => "dart",
            Self::Meson => "meson",
            Self::Gtest => "gtest",
            Self::Catch2 => "catch2",
            Self::Boost => "boost",
            Self::Cppunit => "cppunit",
            Self::Check => "check",
            Self::Qttest => "qttest",
            Self::Testng => "testng",
            Self::Failsafe => "failsafe",
            Self::Bazel => "bazel",
            Self::Ltp => "ltp",
        }
    }

    /// All identifiers, for messages.
    pub fn words() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }

    /// The format with that identifier.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == word)
    }

    /// Whether its parser holds all or most of a file in memory until the end.
    pub fn is_held(self) -> bool {
        matches!(
            self,
            Self::Go
                | Self::GoText
                | Self::Libtest
                | Self::Ctrf
                | Self::Trx
                | Self::CucumberMessages
                | Self::Allure
                | Self::Subunit
                | Self::Dart
                | Self::Bazel
                | Self::Boost
                | Self::Testng
                | Self::Cucumber
                | Self::Jest
        )
    }

    /// Whether it is JSON: a document, or one line per event.
    pub fn is_json(self) -> bool {
        matches!(
            self,
            Self::Ctrf
                | Self::Jest
                | Self::Mocha
                | Self::Mochawesome
                | Self::Playwright
                | Self::Cucumber
                | Self::Allure
                | Self::Rspec
                | Self::Pytest
                | Self::Gtest
                | Self::Ltp
                | Self::Go
                | Self::Libtest
                | Self::CucumberMessages
                | Self::Dart
                | Self::Meson
                | Self::Bazel
        )
    }
}
