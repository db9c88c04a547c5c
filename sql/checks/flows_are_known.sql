-- Every flow is of a kind that the reconciliation counts, once an asset, and there are none without a previous publication.
select
    flows.asset,
    flows.kind,
    count(*) as row_count,
    exact_sum(flows.amount) as amount
from inputs.flows as flows
cross join moments
group by
    flows.asset,
    flows.kind
having
    count(*) > 1
    or flows.kind not in ('deposit', 'withdrawal', 'trade', 'fee', 'interest', 'adjustment')
    or count(moments.previous_as_of) = 0
