//! Pages of a list.

/// A requested page of a list, and the page length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// The page's number, from 1.
    pub page: u64,
    /// Members per page.
    pub per_page: u64,
}

impl PageRequest {
    /// Maximum page length.
    pub const MAX_PER_PAGE: u64 = 100;

    /// Number of members before this page.
    pub fn offset(self) -> u64 {
        (self.page - 1).saturating_mul(self.per_page)
    }

    /// Applies this request to a list of `count` members.
    pub fn of(self, count: u64) -> Pages {
        let num_pages = count.div_ceil(self.per_page).max(1);
        Pages { count, num_pages, page: self.page, per_page: self.per_page }
    }
}

/// Position of a page in its list. An empty list is page 1 of 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pages {
    /// Members in the whole list.
    pub count: u64,
    /// Pages in the whole list, at least 1.
    pub num_pages: u64,
    /// This page, from 1.
    pub page: u64,
    /// Members on a page.
    pub per_page: u64,
}

impl Pages {
    /// Whether the list has more than one page.
    pub fn paginated(self) -> bool {
        self.num_pages > 1
    }

    /// Whether this page exists.
    pub fn exists(self) -> bool {
        self.page <= self.num_pages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_is_page_one_of_one() {
        let pages = PageRequest { page: 1, per_page: 25 }.of(0);
        assert_eq!((pages.num_pages, pages.paginated(), pages.exists()), (1, false, true));
    }

    #[test]
    fn a_hundred_builds_are_four_pages_of_twenty_five() {
        let pages = PageRequest { page: 5, per_page: 25 }.of(100);
        assert_eq!((pages.num_pages, pages.paginated(), pages.exists()), (4, true, false));
        assert_eq!(PageRequest { page: 1, per_page: 25 }.of(101).num_pages, 5);
    }
}
