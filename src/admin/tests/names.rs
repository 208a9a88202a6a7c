//! Names, whole and by page.

use super::*;

#[tokio::test]
async fn names_are_the_document_that_a_command_makes_of_the_same_table() {
    let daemon = Daemon::ready().await;
    let whole = daemon.get("/api/v1/names").await;
    assert_eq!(whole.status, 200);
    assert_eq!(whole.headers["content-type"], "application/json");
    let expected = NamesDocument::new(&table(), Some(1), None);
    assert_eq!(from_text::<NamesDocument>(&whole.body).unwrap(), expected);
    let views: Vec<&str> = expected.views.iter().map(|view| view.name.as_str()).collect();
    assert_eq!(views, ["onprem", "default"]);

    let one = daemon.get("/api/v1/names?view=default").await;
    insta::assert_snapshot!(one.body);

    let (status, why) = daemon.refused("/api/v1/names?view=nobodys").await;
    assert_eq!(status, 404);
    assert_eq!(why, r#"view: there is no view "nobodys"; there are: onprem, default"#);
}

#[tokio::test]
async fn pages_of_names_are_together_the_whole() {
    let daemon = Daemon::ready().await;
    let page = async |query: &str| -> NamesDocument {
        from_text(&daemon.get(&format!("/api/v1/names{query}")).await.body).unwrap()
    };
    let whole = page("").await;
    assert_eq!((whole.rows, whole.next), (Part::default().rows(&table()), None));
    for rows in 1..=whole.rows {
        let mut known = page(&format!("?rows={rows}")).await;
        while let Some(first) = known.next {
            let more = page(&format!("?rows={rows}&first={first}")).await;
            let told: usize = more
                .views
                .iter()
                .map(|it| it.names.len() + it.cnames.len() + it.declined.len())
                .sum();
            assert_eq!(told, rows.min(whole.rows - first));
            assert!(known.append(more));
        }
        assert_eq!(known, whole, "{rows} at once");
    }
    let (answered, declined) = (page("?only=answered").await, page("?only=declined").await);
    assert_eq!(answered.rows + declined.rows, whole.rows);
    assert!(answered.views.iter().all(|view| view.declined.is_empty()));
    assert!(declined.views.iter().all(|view| view.names.is_empty() && view.cnames.is_empty()));
    let behind = page(&format!("?first={}", whole.rows + 7)).await;
    assert_eq!(
        (behind.views.len(), behind.rows, behind.next),
        (whole.views.len(), whole.rows, None)
    );
    let last = page("?first=4294967295").await;
    assert_eq!((last.rows, last.next), (whole.rows, None));
    // Of another table nothing is taken.
    let mut known = page("?rows=1").await;
    assert!(!known.append(NamesDocument::page(&table(), Some(2), &Part::default(), 1, 1)));
    for wrong in ["rows=0", "rows=20001", "rows=x", "first=-1", "first=4294967296", "only=both"] {
        assert_eq!(daemon.refused(&format!("/api/v1/names?{wrong}")).await.0, 400, "{wrong}");
    }
}

#[tokio::test]
async fn who_asks_for_more_than_is_told_at_once_is_told_how_to_ask() {
    let mut daemon = Daemon::ready().await;
    let names: Vec<String> = (0..=ROWS_MAX).map(|at| format!("n{at}.x")).collect();
    let inventory = facts::inventory(&format!("vpce-1 s.many a=10.0.1.5 dns={}", names.join(",")));
    let config = facts::config();
    daemon.publisher.publish(compile(policy::plan(&inventory, &config), &config));
    let (status, why) = daemon.refused("/api/v1/names").await;
    assert_eq!(status, 413);
    assert!(
        why.starts_with("there are 20002 rows, more than 20000 at once; ask for one view"),
        "{why}"
    );
    let part: NamesDocument =
        from_text(&daemon.get("/api/v1/names?first=20000").await.body).unwrap();
    assert_eq!((part.rows, part.next), (ROWS_MAX + 2, None));
}
