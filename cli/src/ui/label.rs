//! How a container is called before its lines.

/// The container's name without the stack's: compose's prefix, `web-1` for `shop-web-1` of the
/// stack `shop`.
pub(crate) fn label<'a>(name: &'a str, stack: &str) -> &'a str {
    name.strip_prefix(stack)
        .and_then(|rest| rest.strip_prefix('-'))
        .filter(|rest| !rest.is_empty())
        .unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_stacks_own_name_is_left_out() {
        assert_eq!(label("shop-web-1", "shop"), "web-1");
        assert_eq!(label("shopping-1", "shop"), "shopping-1");
        assert_eq!(label("shop-", "shop"), "shop-");
        assert_eq!(label("box", "box"), "box");
    }
}
