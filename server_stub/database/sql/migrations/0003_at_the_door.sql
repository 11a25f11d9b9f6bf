-- A call that was refused at the door of a transaction is no judgement of it: the transaction is not shown by it.

ALTER TABLE verdicts ADD COLUMN at_door BIGINT NOT NULL DEFAULT 0;
UPDATE verdicts SET at_door = 1 WHERE accepted = 0 AND (
findings LIKE '%["transaction.user","fail"%' OR findings LIKE '%["transaction.session","fail"%' OR findings LIKE '%["transaction.issued","fail"%'
OR findings LIKE '%"check":"transaction.user","outcome":"fail"%' OR findings LIKE '%"check":"transaction.session","outcome":"fail"%'
OR findings LIKE '%"check":"transaction.issued","outcome":"fail"%');
