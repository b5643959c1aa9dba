package client

import (
	"context"
	"encoding/json"
	"io"
	"net/url"
	"strconv"
	"time"
)

// SignIn is one entry of the log of sign-ins.
type SignIn struct {
	ID          string    `json:"id"`
	At          time.Time `json:"createdDateTime"`
	User        string    `json:"userPrincipalName"`
	App         string    `json:"appId"`
	AppName     string    `json:"appDisplayName"`
	IP          string    `json:"ipAddress"`
	Interactive bool      `json:"isInteractive"`
	Types       []string  `json:"signInEventTypes"`
	Flow        string    `json:"@curfew.flow"`
	Missing     int64     `json:"@curfew.missing"` // of an entry that says so
	Status      struct {
		Number int    `json:"errorCode"`
		Reason string `json:"failureReason"`
	} `json:"status"`
	Access   string `json:"conditionalAccessStatus"`
	Policies []struct {
		Name    string `json:"displayName"`
		Outcome string `json:"result"`
	} `json:"appliedConditionalAccessPolicies"`
	Raw json.RawMessage `json:"-"` // all of it
}

// UnmarshalJSON keeps the whole of it too.
func (s *SignIn) UnmarshalJSON(b []byte) error {
	type plain SignIn
	s.Raw = append(s.Raw[:0], b...)
	return json.Unmarshal(b, (*plain)(s))
}

// SignIns calls f for at most limit sign-ins that the filters leave, the newest
// first. The server looks at so many at a time, so that pages may be empty.
func (c *Client) SignIns(ctx context.Context, filters url.Values, limit int, f func(*SignIn) error) error {
	v := url.Values{}
	for name, all := range filters {
		v[name] = all
	}
	for limit > 0 {
		v.Set("top", strconv.Itoa(min(limit, 500)))
		var page struct {
			Next  string    `json:"@odata.nextLink"`
			Value []*SignIn `json:"value"`
		}
		if err := c.do(ctx, call{method: "GET", path: "/curfew/signIns", query: v}, &page); err != nil {
			return err
		}
		for _, s := range page.Value {
			if err := f(s); err != nil {
				return err
			}
			limit--
		}
		next, err := url.Parse(page.Next)
		if err != nil || next.Query().Get("before") == "" {
			return err
		}
		v.Set("before", next.Query().Get("before"))
	}
	return nil
}

// ExportSignIns writes every sign-in that the filters leave to w, as jsonl or csv.
// What broke off is an error, and what was written by then is not all.
func (c *Client) ExportSignIns(ctx context.Context, filters url.Values, format string, w io.Writer) error {
	v := url.Values{"format": {format}}
	for name, all := range filters {
		v[name] = all
	}
	k := call{method: "GET", path: "/curfew/signIns/export", query: v}
	resp, err := c.send(ctx, k)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return c.lost(k, err)
	}
	return nil
}
