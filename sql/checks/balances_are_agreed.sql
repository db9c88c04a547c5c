-- No wallet holds less than nothing, and every source that was asked agreed.
select
    chain,
    address,
    asset,
    amount,
    sources_asked,
    sources_agreed
from wallet_balances
where
    amount < 0
    or sources_asked < 1
    or sources_agreed <> sources_asked
