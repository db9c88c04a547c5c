-- Opening, flows and rounding add up to expected, and expected and unexplained to closing.
select
    asset,
    opening,
    deposits,
    withdrawals,
    trades,
    fees,
    interest,
    adjustments,
    rounding,
    expected,
    closing,
    unexplained
from reconciliation
where
    opening + deposits + withdrawals + trades + fees + interest + adjustments + rounding is distinct from expected
    or expected + unexplained is distinct from case when expected is not null then closing end
