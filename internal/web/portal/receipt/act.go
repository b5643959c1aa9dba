package receipt

import (
	"github.com/curfew-id/curfew/internal/standing"
)

// Act is what was done, by cause and by what it was done to.
func Act(cause, kind string) string {
	switch standing.Cause(cause) {
	case standing.Disabled:
		return "Account disabled"
	case standing.Deleted:
		return "Account deleted"
	case standing.PasswordChanged:
		return "Password changed"
	case standing.PasswordReset:
		return "Password reset"
	case standing.RightsRemoved:
		return "Role or group removed"
	case standing.SignedOut:
		return "Signed out"
	case standing.Reused:
		return "Grant ended: a used token came again"
	case standing.AppDisabled:
		return "Application disabled"
	case standing.AppDeleted:
		return "Application deleted"
	case standing.AppNarrowed:
		return "Permission removed"
	case standing.SecretRemoved:
		return "Secret removed"
	case standing.ConsentWithdrawn:
		return "Consent withdrawn"
	case standing.DeviceLost:
		return "Device reported lost"
	case standing.DeviceDisabled:
		return "Device disabled"
	case standing.DeviceDeleted:
		return "Device deleted"
	case standing.HistoryLost:
		return "Everything cut: history was lost"
	case standing.ProviderDisabled:
		return "Sessions through an identity provider ended"
	case standing.Unlinked:
		return "Unlinked from an identity provider"
	case standing.MethodRemoved, standing.MethodReset:
		return "A second factor was taken away"
	case standing.KeyDropped:
		return "All tokens cut: signing keys dropped"
	}
	switch kind {
	case "session":
		return "Session ended"
	case "grant":
		return "Grant revoked"
	case "app":
		return "Grants revoked"
	case "directory":
		return "Everyone's sessions revoked"
	}
	return "Sessions revoked"
}
