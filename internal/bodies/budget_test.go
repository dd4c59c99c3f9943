package bodies

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"hydrant/record"
)

func TestBudgetWaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &budget{free: 10, wait: 5 * time.Second}
		var one, two, three account
		mustTake(t, b, &one, 8)
		mustTake(t, b, &two, 8) // the express lane
		start := time.Now()
		waited, err := b.acquire(t.Context(), &three, 8)
		var busy *record.Unavailable
		if !errors.As(err, &busy) || busy.RetryAfter <= 0 {
			t.Fatalf("got %v, want Unavailable", err)
		}
		if took := time.Since(start); took != 5*time.Second || waited != took {
			t.Errorf("waited %v, said %v", took, waited)
		}
		if b.refused != 1 || len(b.queue) != 0 {
			t.Errorf("refused %d, queue %d", b.refused, len(b.queue))
		}
		for _, a := range []*account{&one, &two, &three} {
			b.close(a)
		}
		if b.free != 10 || b.express != nil {
			t.Errorf("free %d, express %v", b.free, b.express)
		}
	})
}

func mustTake(t *testing.T, b *budget, a *account, n int64) {
	t.Helper()
	if _, err := b.acquire(t.Context(), a, n); err != nil {
		t.Fatal(err)
	}
}

func TestBudgetServesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &budget{free: 10, wait: time.Hour}
		var holder, express account
		mustTake(t, b, &holder, 10)
		mustTake(t, b, &express, 100)
		mustTake(t, b, &express, 100) // again, without waiting
		order := make(chan int, 3)
		var accounts [3]account
		for i := range accounts {
			go func() {
				if _, err := b.acquire(t.Context(), &accounts[i], 5); err != nil {
					t.Error(err)
				}
				order <- i
			}()
			synctest.Wait()
		}
		b.close(&express)
		synctest.Wait()
		if len(order) != 1 || <-order != 0 { // the lane was free again
			t.Fatal("the first in the queue was not served first")
		}
		b.close(&accounts[0])
		b.close(&holder)
		if a, c := <-order, <-order; a+c != 3 {
			t.Errorf("served %d and %d", a, c)
		}
	})
}

func TestBudgetHonoursTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &budget{free: 1, wait: time.Hour}
		var one, two, three account
		mustTake(t, b, &one, 1)
		mustTake(t, b, &two, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.acquire(ctx, &three, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		b.close(&one)
		b.close(&two)
		mustTake(t, b, &three, 1)
	})
}
