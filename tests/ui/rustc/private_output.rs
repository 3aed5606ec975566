use serde::{Deserialize, Serialize};

mod tasks {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Private;

    #[procession::process]
    #[allow(private_interfaces)]
    pub fn task() -> Private {
        Private
    }
}

fn main() -> procession::Result<()> {
    drop(tasks::task::new());
    Ok(())
}
